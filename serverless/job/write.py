"""Writing into a job: only what machines of ours made is ever replaced, and only within the job.

Two things of people are added to, in one request that the server carries out whole or not at all: shapes without a
group get one, and tracks get keyframes beside those that are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from agss_model.cvat.authorship import content, near_of
from agss_model.cvat.server import TRIES, CvatError, Server
from serverless.job.ledger import Ledger
from serverless.job.objects import Key, origin_of
from serverless.job.read import Annotations, JobInfo, read_annotations, shown, touches

Json = dict[str, Any]


class Writer:
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
        self._deleted: set[tuple[int | None, Key]] = set()  # what somebody else deleted meanwhile
        self.created = self.masks = self.removed = self.changed = 0

    def put_shapes(self, frames: Iterable[int], wanted: Sequence[Json], open_end: int | None = None) -> None:
        """Have exactly these shapes in these frames.

        Args:
            frames: of the job.
            wanted: sealed masks.
            open_end: the frame beyond which is not known yet; what is there may say more of its neighbours.

        Raises:
            CvatError: the server refuses or is gone, or a shape may not be written.
        """
        covered = frozenset(frames)
        for shape in wanted:
            if shape["frame"] not in covered:
                raise CvatError(f"A shape for frame {shape['frame']} is not within the frames being written.")
        self._open_end = open_end
        self._put("shapes", wanted, lambda shape: shape["frame"] in covered)

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
            return shape["frame"] in covered and _place(shape)[1] not in stay

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
        self._delete("shapes", [shape for shape in self._there.own_shapes if _place(shape) in now])

    def _put(self, kind: str, wanted: Sequence[Json], covers: Any) -> None:  # noqa: ANN401 - a predicate
        for item in wanted:
            check(item, self._info)
        pause = self._server.pause
        for left in range(TRIES - 1, -1, -1):
            error = self._tried(kind, wanted, covers)
            if error is None:
                return
            if not error.passing or not left:
                raise error
            time.sleep(pause)
            pause *= 2
            self.refresh()  # the reply may have been lost after the change was made

    def _tried(self, kind: str, wanted: Sequence[Json], covers: Any) -> CvatError | None:  # noqa: ANN401
        try:
            missing, extra = self._difference(kind, wanted, covers)
            if extra:
                self.refresh()  # somebody may have edited, since, what is about to go
                missing, extra = self._difference(kind, wanted, covers)
                self._delete(kind, extra)
            if missing:
                self._create(kind, missing)
        except CvatError as error:
            return error
        return None

    def _difference(self, kind: str, wanted: Sequence[Json], covers: Any) -> tuple[list[Json], list[Json]]:  # noqa: ANN401
        names = self._info.names
        there: dict[str, list[Json]] = {}
        for item in self._mine(kind):
            if covers(item):
                there.setdefault(content(item, names), []).append(item)
        missing: list[Json] = []
        for item in wanted:
            if _place(item) in self._deleted:
                continue
            alike = there.get(content(item, names), [])
            found = next((old for old in alike if self._stands_for(old, item)), None)
            if found is None:
                missing.append(item)
            else:
                alike.remove(found)
        return missing, [item for items in there.values() for item in items]

    def _stands_for(self, old: Json, new: Json) -> bool:
        """Whether a mask that looks alike says nothing of its neighbours that is not so."""
        return "shapes" in new or new["frame"] == self._open_end or not near_of(old) & ~near_of(new)

    def _create(self, kind: str, items: Sequence[Json]) -> None:
        made = self._send("create", kind, items)
        self.created += len(items)
        self.masks += len(items) if kind == "shapes" else 0
        self._ledger.written.update({origin_of(item): _span(item, self._info) for item in made})
        self._set(kind, (*self._mine(kind), *made))

    def _delete(self, kind: str, items: Sequence[Json]) -> None:
        if not items:
            return
        self._sent_away.update(item["id"] for item in items)
        self._send("delete", kind, items)
        self.removed += len(items)
        gone = {item["id"] for item in items}
        for item in items:
            self._ledger.written.pop(origin_of(item), None)
        self._set(kind, tuple(item for item in self._mine(kind) if item["id"] not in gone))

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
        places = {_place(item) for kind in ("shapes", "tracks") for item in self._all(kind)}
        self._deleted |= {_place(item) for item in before if item["id"] not in self._sent_away} - places
        return self._there


def _place(item: Json) -> tuple[int | None, Key]:
    """What an item is, whatever its number: one of an object in a frame, or an object's track."""
    frame = None if "shapes" in item else int(item["frame"])
    return frame, (int(item["label_id"]), int(item.get("group") or 0))


def _span(item: Json, info: JobInfo) -> list[int]:
    """First and last frame, label and group, for the record of what was written."""
    frames = shown(item, info.stop) if "shapes" in item else range(item["frame"], item["frame"] + 1)
    return [frames.start, max(frames.stop - 1, frames.start), *_place(item)[1]]


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
