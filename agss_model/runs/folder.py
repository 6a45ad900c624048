"""The output folder of a run: whether a run may go on there, and how it takes the place of an earlier one.

A run that replaces another is made in `.next/` and moved into its place when it is finished. Until then the earlier one
stays as it is, and at no moment could a kill cost a file that the run did not write.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from agss_model.errors import OutputError
from agss_model.files import explained, held, sha256_of
from agss_model.masks.files import by_number
from agss_model.runs.marks import Marks, base_of, wanted_frames
from agss_model.runs.scores import Row, read_log, read_rows, table, write_log
from agss_model.runs.settling import is_given, recover, settle
from agss_model.runs.states import States, remove_stale
from agss_model.runs.traces import Record, Traces
from agss_model.words import listing

Standing = Literal["fresh", "corrected", "unfinished", "complete"]


class RunFolder:
    """A folder of runs, and the few operations on it that must not go wrong half way.

    Attributes:
        root: the folder.
        settled: files of the run in it.
        here: files of the run at hand, which are elsewhere while it is to replace the settled one.
    """

    def __init__(self, root: Path, naming: Callable[[int], str] = by_number) -> None:
        """Nothing is read yet.

        Args:
            root: the folder.
            naming: from a frame number to the name of its mask, without suffix.
        """
        self.root = root
        self.settled = Traces(root, naming)
        self.here = self.settled
        self._kept: set[int] = set()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder, so that no other process works in it, and finish what a killed one left half done.

        Raises:
            OutputError: it cannot become a folder or cannot be written, or another process holds it.
        """
        blocker = next((path for path in (self.root, *self.root.parents) if path.exists()), None)
        if blocker is not None and not blocker.is_dir():
            raise OutputError(f"cannot write to folder {self.root}: {blocker} is a file; choose another --out")
        new = blocker != self.root
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        try:
            with held(self.settled.lock):
                recover(self.settled)
                yield
        finally:
            if new:
                with contextlib.suppress(OSError):  # it holds something now
                    self.root.rmdir()

    def standing(self, asked: Mapping[str, Any], *, overwrite: bool = False) -> Standing:
        """What is here, compared with what is asked for; nothing is changed.

        Args:
            asked: everything that decides about the masks, as plain values.
            overwrite: a run that is here may be replaced.

        Raises:
            OutputError: it holds something that must not be replaced.
        """
        wanted = json.loads(json.dumps(asked))
        following = Traces(self.settled.next, self.settled.naming)
        for place in (self.settled, following):
            record = place.read_record()
            if record is not None and record.asked == wanted and not (record.finished and overwrite):
                self.here = place
                self._check(wanted, finished=record.finished)
                return "complete" if record.finished else "unfinished"
        record = self.settled.read_record()
        self.here = self.settled if record is None else following
        if overwrite:
            self._refuse_strangers()
            return "fresh"
        if record is not None:
            if not _goes_on(record.asked, wanted):
                raise OutputError(
                    f"{self.root} holds another run: {'; '.join(_differences(record.asked, wanted))}. "
                    "Choose another --out, or replace it with --overwrite"
                )
            self._check(wanted, finished=False)
            return "corrected"
        if taken := [path.name for path in self._places() if os.path.lexists(path)]:
            raise OutputError(
                f"{self.root} already holds {', '.join(taken)}, but no run.json that says where it comes from; "
                "choose another --out"
            )
        return "fresh"

    def begin(self, asked: Mapping[str, Any], *, anew: bool = False) -> None:
        """Make room for another run.

        Args:
            asked: see `standing`.
            anew: nothing of an earlier run is taken over.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        if here is not self.settled:
            here.remove()  # an earlier attempt to replace the settled run
        with explained(here.root):
            here.root.mkdir(exist_ok=True)
            here.write_record(Record(dict(asked), anew=anew))

    def resume(self, asked: Mapping[str, Any]) -> set[int]:
        """Make ready to go on; the frames that have their masks and scores already, here or from the settled run.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        with explained(here.root):
            here.masks.mkdir(exist_ok=True)
            here.progress.mkdir(exist_ok=True)
            done = self._taken_over(asked)
            self._kept = set(done)
            known = here.known()
            for frame, rows in (read_log(here.log) if here.log.is_file() else {}).items():
                if frame in done or here.owns(here.mask(frame), known):
                    done[frame] = rows
        write_log(here.log, done)
        return set(done)

    def _taken_over(self, asked: Mapping[str, Any]) -> dict[int, list[Row]]:
        """Frames of the settled run that depend on nothing that differs now, with their scores."""
        own, before = self.here.read_record(), self.settled.read_record()
        if self.here is self.settled or own is None or own.anew or before is None:
            return {}
        old, new, known = Marks(before.asked), Marks(asked), self.settled.known()
        frames = {number: list[Row]() for number in wanted_frames(before.asked)} if before.finished else {}
        if before.finished and self.settled.owns(self.settled.scores, known):
            for row in read_rows(self.settled.scores):
                frames.setdefault(row.frame, []).append(row)
        elif self.settled.log.is_file():
            frames = read_log(self.settled.log)
        return {
            number: rows
            for number, rows in frames.items()
            if number in wanted_frames(asked)
            and old.at(number) == new.at(number)
            and self.settled.owns(self.settled.mask(number), known)
        }

    def mask(self, number: int) -> Path:
        """The mask of a frame, which may be one of the settled run."""
        return self.settled.mask(number) if number in self._kept else self.here.mask(number)

    def states(self, order: range, asked: Mapping[str, Any]) -> States:
        """States of the tracker along one way."""
        own = self.here.read_record()
        folders = [self.here.states] + ([] if own is None or own.anew else [self.settled.states])
        return States(folders, order, Marks(asked), self.here.state)

    def publish_scores(self) -> None:
        """Put the finished table in its place, in the order of frames.

        Raises:
            OutputError: the folder cannot be written.
        """
        frames = read_log(self.here.log)
        rows = (row for frame in sorted(frames) for row in sorted(frames[frame], key=lambda row: row.object_id))
        self.here.keep(self.here.scores, table(rows))

    @contextlib.contextmanager
    def overlay(self) -> Iterator[Path]:
        """Where to write the overlay, which takes its place when the block ends well.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        with explained(here.overlay):
            here.progress.mkdir(exist_ok=True)
        beside = here.progress / here.overlay.name
        yield beside
        here.adopt(beside, here.overlay)

    def keep_shown(self, number: int, data: bytes) -> None:
        """Write a frame with its masks drawn over it, a JPEG.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        with explained(here.overlays):
            here.overlays.mkdir(exist_ok=True)
            here.progress.mkdir(exist_ok=True)
        here.keep(here.shown(number), data)

    def finish(self, asked: Mapping[str, Any]) -> None:
        """Call the run finished, and let it take the place of the one it replaces.

        Raises:
            OutputError: the folder cannot be written, or somebody changed a file that would be replaced.
        """
        here = self.here
        with explained(here.root):
            known = here.known()
            files = {name: here.root / name for name in known}
            own = {name: sha256_of(path) for name, path in files.items() if here.owns(path, known)}
            before = self.settled.known()
            kept = [path for path in map(self.settled.mask, self._kept) if self.settled.owns(path, before)]
            own |= {self.settled.name(path): sha256_of(path) for path in kept}
            here.write_record(Record(dict(asked), finished=True, files=own))
        here.remove_progress()
        remove_stale(here.states, Marks(asked))
        if here is not self.settled:
            settle(self.settled)
            self.here = self.settled

    def _places(self) -> tuple[Path, ...]:
        settled = self.settled
        return (
            settled.record, settled.masks, settled.scores, settled.overlay, settled.overlays, settled.progress,
            settled.next, settled.states,
        )  # fmt: skip

    def _check(self, asked: Mapping[str, Any], *, finished: bool) -> None:
        """Refuse to go on where files are missing, or where some are not as the run wrote them."""
        settled, frames = self.settled, wanted_frames(asked)
        if finished:
            missing = [path for path in (settled.scores, *map(settled.mask, frames)) if not path.is_file()]
            if missing:
                raise OutputError(
                    f"the finished run in {self.root} lacks {len(missing)} of its files, the first is "
                    f"{missing[0].name}; put them back, or track again with --overwrite"
                )
            if not settled.owns(settled.scores, settled.known()):
                raise OutputError(
                    f"{settled.scores} is not as the run wrote it; put that back, or move this one elsewhere and track "
                    "again with --overwrite"
                )
            return
        for place in {self.settled.root: self.settled, self.here.root: self.here}.values():
            known = place.known()
            paths = (place.scores, place.overlay, *map(place.mask, frames), *map(place.shown, frames))
            changed = [
                place.name(path)
                for path in paths
                if os.path.lexists(path) and not (place.owns(path, known) or is_given(path, asked))
            ]
            if changed:
                raise OutputError(
                    f"{listing(changed)} in {place.root} is not as the run wrote it and would be replaced; copy it "
                    "into the folder of --masks to have it count as a correction, or move it elsewhere"
                )

    def _refuse_strangers(self) -> None:
        if strangers := self.settled.strangers():
            raise OutputError(
                f"{self.root} holds what its run.json does not name as written by a run, or what was changed since: "
                f"{listing(strangers)}. Nothing was removed; move it elsewhere, or choose another --out"
            )


def _goes_on(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether only masks differ, and no frame that has its mask loses it."""
    try:
        old, new = wanted_frames(before), wanted_frames(wanted)
        Marks(before)  # of an earlier version it has none
        return base_of(before) == base_of(wanted) and old.start >= new.start and old.stop <= new.stop
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _differences(before: object, now: object, name: str = "") -> list[str]:
    """One phrase per value that is not the same."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        nested = [_differences(before.get(key), now.get(key), f"{name}.{key}".lstrip(".")) for key in keys]
        return [phrase for phrases in nested for phrase in phrases]
    return [] if before == now else [f"{name or 'the record'} was {_short(before)}, now {_short(now)}"]


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:39] + "…"
