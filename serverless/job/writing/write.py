"""Writing into a job: only what machines of ours made is ever replaced, and only within the job.

Two things of people are added to: shapes without a group get one, and tracks get keyframes beside those that are there.
What is replaced is replaced in one request that the server carries out whole or not at all, and masks say that others
are beside them only while these are there: at no moment does anything look as if somebody had deleted it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from agss_model.cvat.authorship import content, near_of
from agss_model.cvat.server.client import TRIES, CvatError, Server
from serverless.job.ledger import Ledger
from serverless.job.objects import Key, Place, origin_of, place_of
from serverless.job.read import Annotations, JobInfo, read_annotations, shown, touches

Json = dict[str, Any]
Covers = Callable[[Json], bool]
Restated = Callable[[Json], Json]
Pair = tuple[Json, Json]
"""What is there, and what is to be there in its place."""


def _as_it_is(item: Json) -> Json:
    return item


class JobWriter:
    """Brings this command's shapes in a job to what they should be; what is right already stays untouched.

    Args:
        server: where the job is.
        info: the job.
        annotations: as they are now.
        ledger: where it is recorded what was written.

    Attributes:
        created: shapes and tracks that were added.
        masks: how many of them are masks.
        removed: earlier ones of ours that are gone.
        changed: shapes and tracks of people that were added to.
    """

    def __init__(self, server: Server, info: JobInfo, annotations: Annotations, ledger: Ledger) -> None:
        self._server, self._info, self._ledger = server, info, ledger
        self._there = annotations
        self._open_end: int | None = None
        self._sent_away: set[int] = set()  # numbers of what this run has asked to delete
        self._deleted: set[Place] = set()  # what somebody else deleted meanwhile
        self.created = self.masks = self.removed = self.changed = 0

    def put_shapes(
        self, frames: Iterable[int], wanted: Sequence[Json], restated: Restated = _as_it_is, open_end: int | None = None
    ) -> None:
        """Have exactly these shapes in these frames.

        Args:
            frames: of the job.
            wanted: signed masks.
            restated: what a mask of ours in another frame is then, because it says what is beside it.
            open_end: the frame beyond which is not known yet; what is there may say more of its neighbours.

        Raises:
            CvatError: the server refuses or is gone, or a shape may not be written.
        """
        covered = frozenset(frames)
        for shape in wanted:
            if shape["frame"] not in covered:
                raise CvatError(f"A shape for frame {shape['frame']} is not within the frames being written.")
        self._open_end = open_end
        self._put("shapes", wanted, lambda shape: shape["frame"] in covered, restated)

    def put_tracks(self, frames: Iterable[int], wanted: Sequence[Json]) -> None:
        """Have exactly these tracks among those that show something in these frames.

        Raises:
            CvatError: as `put_shapes`.
        """
        covered = frozenset(frames)
        self._put("tracks", wanted, lambda track: touches(track, covered))

    def drop_shapes(self, frames: Iterable[int], stay: Collection[Key]) -> None:
        """Have no shapes in these frames but those of objects that are written as masks.

        Raises:
            CvatError: as `put_shapes`.
        """
        covered = frozenset(frames)

        def covers(shape: Json) -> bool:
            return shape["frame"] in covered and place_of(shape)[1] not in stay

        self._put("shapes", [], covers)

    def forget_deleted(self) -> None:
        """Strike from the record what is not there any more."""
        present = {origin_of(item) for kind in ("shapes", "tracks") for item in self._all(kind)}
        for origin in self._ledger.written.keys() - present:
            del self._ledger.written[origin]

    def add_to(self, old: Json, new: Json) -> bool:
        """Put a person's shape or track in the place of what it was, with something added.

        Returns:
            False where somebody edited or removed it meanwhile; then nothing was done.

        Raises:
            CvatError: as `put_shapes`.
        """
        check(new, self._info)
        names, pause = self._info.names, self._server.pause
        kind = "tracks" if "shapes" in new else "shapes"
        for left in range(TRIES - 1, -1, -1):
            self.refresh()
            there = {(item["id"], content(item, names)) for item in self._all(kind)}
            if (old["id"], content(old, names)) not in there:
                return content(new, names) in {text for _, text in there}  # a reply was lost after the change was made
            if content(old, names) == content(new, names):
                return True
            try:
                self._send("update", kind, [new])
            except CvatError as error:
                if not error.passing or not left:
                    raise
                time.sleep(pause)
                pause *= 2
            else:
                self.changed += 1
                return True
        return False

    def tidy(self, taken: Callable[[Annotations], set[tuple[int, Key]]]) -> None:
        """Look at the job once more and remove what is there twice.

        That can be after replies that were lost, and beside drawings that people made during the run.

        Args:
            taken: where others have something of an object, see `JobPlan.untouchable`.
        """
        self.refresh()
        there, names = self._there, self._info.names
        for kind, items in (("shapes", there.own_shapes), ("tracks", there.own_tracks)):
            first = {content(item, names): item["id"] for item in reversed(items)}
            self._delete(kind, [item for item in items if first[content(item, names)] != item["id"]])
        now = taken(self._there)
        self._delete("shapes", [shape for shape in self._there.own_shapes if place_of(shape) in now])

    def _put(self, kind: str, wanted: Sequence[Json], covers: Covers, restated: Restated = _as_it_is) -> None:
        for item in wanted:
            check(item, self._info)
        pause = self._server.pause
        for left in range(TRIES - 1, -1, -1):
            error = self._tried(kind, wanted, covers, restated)
            if error is None:
                return
            if not error.passing or not left:
                raise error
            time.sleep(pause)
            pause *= 2
            self.refresh()  # the reply may have been lost after the change was made

    def _tried(self, kind: str, wanted: Sequence[Json], covers: Covers, restated: Restated) -> CvatError | None:
        try:
            missing, extra = self._difference(kind, wanted, covers)
            if extra or self._told(kind, covers, restated):
                self.refresh()  # somebody may have edited, since, what is about to go
                missing, extra = self._difference(kind, wanted, covers)
            told = self._told(kind, covers, restated)
            pairs, missing, extra = _paired(missing, extra)
            self._create(kind, missing)  # in this order nobody speaks of neighbours that are not there
            self._replace(kind, [*pairs, *told])
            self._delete(kind, extra)
        except CvatError as error:
            return error
        return None

    def _told(self, kind: str, covers: Covers, restated: Restated) -> list[Pair]:
        others = [item for item in self._mine(kind) if not covers(item)]
        return [(old, new) for old in others if (new := restated(old)) != old]

    def _difference(self, kind: str, wanted: Sequence[Json], covers: Covers) -> tuple[list[Json], list[Json]]:
        names = self._info.names
        there: dict[str, list[Json]] = {}
        for item in self._mine(kind):
            if covers(item):
                there.setdefault(content(item, names), []).append(item)
        missing: list[Json] = []
        for item in wanted:
            if place_of(item) in self._deleted:
                continue
            alike = there.get(content(item, names), [])
            found = next((old for old in alike if self._stands_for(old, item)), None)
            if found is None:
                missing.append(item)
            else:
                alike.remove(found)
        return missing, [item for items in there.values() for item in items]

    def _stands_for(self, old: Json, new: Json) -> bool:
        """Whether a mask that looks alike says of its neighbours what is so."""
        if "shapes" in new:
            return True
        known = near_of(old) & near_of(new) if new["frame"] == self._open_end else near_of(old)
        return known == near_of(new)

    def _replace(self, kind: str, pairs: Sequence[Pair]) -> None:
        """Put new ones in the places of old ones; what only says something else of its neighbours does not count."""
        if not pairs:
            return
        self._sent_away.update(old["id"] for old, _ in pairs)
        made = self._send("update", kind, [{**new, "id": old["id"]} for old, new in pairs])
        names = self._info.names
        count = sum(content(old, names) != content(new, names) for old, new in pairs)
        self._count(kind, count, count)
        self._keep(kind, made, [old for old, _ in pairs])

    def _create(self, kind: str, items: Sequence[Json]) -> None:
        if items:
            made = self._send("create", kind, items)
            self._count(kind, len(items), 0)
            self._keep(kind, made, ())

    def _count(self, kind: str, created: int, removed: int) -> None:
        self.created += created
        self.masks += created if kind == "shapes" else 0
        self.removed += removed

    def _delete(self, kind: str, items: Sequence[Json]) -> None:
        if not items:
            return
        self._sent_away.update(item["id"] for item in items)
        for item in items:
            self._ledger.written.pop(origin_of(item), None)
        self._ledger.save()  # before it goes: what is recorded and missing counts as deleted by somebody
        self._send("delete", kind, items)
        self._count(kind, 0, len(items))
        self._keep(kind, (), items)

    def _keep(self, kind: str, made: Sequence[Json], gone: Sequence[Json]) -> None:
        """Know of what there is now."""
        for item in gone:
            self._ledger.written.pop(origin_of(item), None)
        self._ledger.written.update({origin_of(item): _span(item, self._info) for item in made})
        numbers = {item["id"] for item in gone}
        self._set(kind, (*(item for item in self._mine(kind) if item["id"] not in numbers), *made))

    def _send(self, action: str, kind: str, items: Sequence[Json]) -> list[Json]:
        body = {"version": 0, "tags": [], "shapes": [], "tracks": [], kind: list(items)}
        reply = self._server.patch(f"/api/jobs/{self._info.job}/annotations", body, action=action)
        made = reply.get(kind) if isinstance(reply, dict) else None
        return [item for item in made or () if isinstance(item, dict) and item.get("id") is not None]

    def _mine(self, kind: str) -> tuple[Json, ...]:
        return self._there.own_shapes if kind == "shapes" else self._there.own_tracks

    def _all(self, kind: str) -> tuple[Json, ...]:
        there = self._there
        return (*self._mine(kind), *(there.shapes if kind == "shapes" else there.tracks))

    def _set(self, kind: str, items: tuple[Json, ...]) -> None:
        there = self._there
        shapes, tracks = (items, there.own_tracks) if kind == "shapes" else (there.own_shapes, items)
        self._there = Annotations(shapes, tracks, there.shapes, there.tracks)

    def refresh(self) -> Annotations:
        """Read the job's annotations anew; what of ours somebody deleted meanwhile is not made again."""
        before = (*self._there.own_shapes, *self._there.own_tracks)
        self._there = read_annotations(self._server, self._info.job, self._info.names)
        places = {place_of(item) for kind in ("shapes", "tracks") for item in self._all(kind)}
        self._deleted |= {place_of(item) for item in before if item["id"] not in self._sent_away} - places
        return self._there


def _paired(missing: Sequence[Json], extra: Sequence[Json]) -> tuple[list[Pair], list[Json], list[Json]]:
    """What takes the place of something, what is only added, and what is only removed."""
    old = {place_of(item): item for item in extra}
    pairs = [(old.pop(place_of(item)), item) for item in missing if place_of(item) in old]
    replaced = {before["id"] for before, _ in pairs}
    made = {id(new) for _, new in pairs}
    return pairs, [i for i in missing if id(i) not in made], [i for i in extra if i["id"] not in replaced]


def _span(item: Json, info: JobInfo) -> list[int]:
    """First and last frame, label and group, for the record of what was written."""
    frames = shown(item, info.stop) if "shapes" in item else range(item["frame"], item["frame"] + 1)
    return [frames.start, max(frames.stop - 1, frames.start), *place_of(item)[1]]


def check(item: Json, info: JobInfo) -> None:
    """Refuse what would spoil a job: CVAT itself takes frames outside it and tracks of masks, and cannot export them.

    Raises:
        CvatError: such an item.
    """
    shapes = item.get("shapes", [item])
    if "shapes" in item and any(shape["type"] == "mask" for shape in shapes):
        raise CvatError("A track of masks cannot be written: CVAT fails to show and to export it.")
    for shape in shapes:
        if not info.start <= shape["frame"] <= info.stop:
            raise CvatError(f"Frame {shape['frame']} is not in job {info.job}, which has {info.start} to {info.stop}.")
