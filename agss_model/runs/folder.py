"""The output folder of a run: whether a run may go on there, and how it takes the place of an earlier one.

A run that replaces another is made in `.next/` and moved into its place when it is finished. Until then the earlier one
stays as it is, and at no moment could a kill cost a file that the run did not write.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agss_model.errors import OutputError
from agss_model.files import explained, held, remove_leftovers, sha256_of
from agss_model.runs.scores import read_rows, table, write_rows
from agss_model.runs.traces import Record, Traces

Standing = Literal["fresh", "unfinished", "complete"]


class RunFolder:
    """A folder of runs, and the few operations on it that must not go wrong half way.

    Attributes:
        root: the folder.
        settled: files of the run in it.
        here: files of the run at hand, which are elsewhere while it is to replace the settled one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settled = Traces(root)
        self.here = self.settled

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
                self._recover()
                yield
        finally:
            if new:
                with contextlib.suppress(OSError):  # it holds something now
                    self.root.rmdir()

    def standing(self, asked: Mapping[str, Any], frames: range, *, overwrite: bool = False) -> Standing:
        """What is here, compared with what is asked for; nothing is changed.

        Args:
            asked: everything that decides about the masks, as plain values.
            frames: numbers of the masks that a finished run leaves.
            overwrite: a run that is here may be replaced.

        Raises:
            OutputError: it holds something that must not be replaced.
        """
        wanted = json.loads(json.dumps(asked))
        for place in (self.settled, Traces(self.settled.next)):
            record = place.read_record()
            if record is not None and record.asked == wanted and not (record.finished and overwrite):
                self.here = place
                self._check(frames, finished=record.finished)
                return "complete" if record.finished else "unfinished"
        record = self.settled.read_record()
        if overwrite:
            self._refuse_strangers()
        elif record is not None:
            raise OutputError(
                f"{self.root} holds another run: {'; '.join(_differences(record.asked, wanted))}. "
                "Choose another --out, or replace it with --overwrite"
            )
        elif taken := [path.name for path in self._places() if os.path.lexists(path)]:
            raise OutputError(
                f"{self.root} already holds {', '.join(taken)}, but no run.json that says where it comes from; "
                "choose another --out"
            )
        self.here = self.settled if record is None else Traces(self.settled.next)
        return "fresh"

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Make room for a fresh run.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        if here is not self.settled:
            here.remove()  # an earlier attempt to replace the settled run
        with explained(here.root):
            here.root.mkdir(exist_ok=True)
            here.write_record(Record(dict(asked)))
            here.masks.mkdir()
            here.progress.mkdir()
            write_rows(here.log, [])

    def restart(self) -> None:
        """Forget how far an unfinished run came; masks stay until they are written again.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        with explained(here.root):
            here.masks.mkdir(exist_ok=True)
            here.progress.mkdir(exist_ok=True)
            here.state.unlink(missing_ok=True)
            write_rows(here.log, [])

    def keep_rows(self, numbers: Sequence[int]) -> bool:
        """Cut the log to the frames of `numbers`; False if one of these frames lacks its mask or its scores.

        Raises:
            OutputError: the folder cannot be written.
        """
        here = self.here
        if not here.log.is_file():
            return False
        wanted = set(numbers)
        rows = [row for row in read_rows(here.log) if row.frame in wanted]
        write_rows(here.log, dict.fromkeys(rows))
        return {row.frame for row in rows} == wanted and all(here.mask(number).is_file() for number in numbers)

    def publish_scores(self) -> None:
        """Put the finished table in its place, in the order of frames.

        Raises:
            OutputError: the folder cannot be written.
        """
        rows = {(row.frame, row.object_id): row for row in read_rows(self.here.log)}
        self.here.keep(self.here.scores, table(rows[key] for key in sorted(rows)))

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
            here.write_record(Record(dict(asked), finished=True, files=own))
        here.remove_progress()
        if here is not self.settled:
            self._settle(here)
            self.here = self.settled

    def _recover(self) -> None:
        """Clear up after a process that was killed."""
        following = Traces(self.settled.next)
        for place in (self.settled, following):
            if place.is_run():
                for folder in (place.root, place.masks, place.progress):
                    remove_leftovers(folder)
        if following.root.is_symlink() or not following.root.is_dir():
            return
        record = following.read_record()
        if record is None:  # it was moved into its place
            following.remove()
        elif record.finished:
            self._settle(following)

    def _settle(self, following: Traces) -> None:
        """Replace the settled run by a finished one; begun again after a kill, it comes to the same."""
        record = following.read_record() or Record({})
        before, after = self.settled.known(), {name: {digest} for name, digest in record.files.items()}
        changed = [
            name
            for name in record.files
            if os.path.lexists(path := self.root / name)
            and not (self.settled.owns(path, before) or self.settled.owns(path, after))
        ]
        if changed:
            raise OutputError(
                f"{_listing(changed)} in {self.root} changed while the run that replaces it was at work; move it "
                f"elsewhere and give the same command again (the new run is complete, in {following.root})"
            )
        with explained(self.root):
            self.settled.masks.mkdir(exist_ok=True)
            for name in record.files:
                if (following.root / name).exists():
                    (following.root / name).replace(self.root / name)
            for name in before.keys() - after.keys():
                if self.settled.owns(self.root / name, before):
                    (self.root / name).unlink()
            following.record.replace(self.settled.record)
        following.remove()

    def _places(self) -> tuple[Path, ...]:
        settled = self.settled
        return (settled.record, settled.masks, settled.scores, settled.overlay, settled.progress, settled.next)

    def _check(self, frames: range, *, finished: bool) -> None:
        """Refuse to go on where files are missing, or where some are not as the run wrote them."""
        here = self.here
        if finished:
            missing = [path for path in (here.scores, *map(here.mask, frames)) if not path.is_file()]
            if missing:
                raise OutputError(
                    f"the finished run in {self.root} lacks {len(missing)} of its files, the first is "
                    f"{missing[0].name}; put them back, or track again with --overwrite"
                )
            return
        known = here.known()
        places = (here.scores, here.overlay, *map(here.mask, frames))
        changed = [here.name(path) for path in places if os.path.lexists(path) and not here.owns(path, known)]
        if changed:
            raise OutputError(
                f"{_listing(changed)} in {here.root} is not as the run wrote it and would be replaced; move it "
                "elsewhere, then the run goes on"
            )

    def _refuse_strangers(self) -> None:
        if strangers := self.settled.strangers():
            raise OutputError(
                f"{self.root} holds what its run.json does not name as written by a run, or what was changed since: "
                f"{_listing(strangers)}. Nothing was removed; move it elsewhere, or choose another --out"
            )


def _listing(names: Sequence[str], limit: int = 5) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


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
