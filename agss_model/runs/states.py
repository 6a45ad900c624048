"""States of the tracker along a run, so that it goes on from the nearest one: after a kill, or for a correction."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from agss_model.engines.loading import Engine
from agss_model.errors import WeightsError
from agss_model.files import explained, write_bytes
from agss_model.runs.marks import Marks
from agss_model.tracking.tracker import Tracker

MOST = 16
"""States kept along one way; of seven objects at 960 pixels one takes about 3 MB."""
_NAME = re.compile(r"([0-9]{5,})([fb])-([0-9a-f]{16})\.state")


def is_state(name: str) -> bool:
    """Whether a file of this name is a state."""
    return _NAME.fullmatch(name) is not None


class States:
    """States along one way.

    Args:
        folders: where they are looked for; the first is where new ones go.
        order: the frames in the order of tracking.
        marks: of the run; a state of another mark is of no use.
        scratch: a file to use in between.
    """

    def __init__(self, folders: Sequence[Path], order: range, marks: Marks, scratch: Path) -> None:
        self._folders, self._order, self._marks, self._scratch = tuple(folders), order, marks, scratch

    def save(self, tracker: Tracker, number: int) -> None:
        """Keep the state after frame `number`; where there are too many, one goes that is close to its neighbours.

        Raises:
            OutputError: it cannot be written.
        """
        if (name := self._name(number)) is None:
            return
        folder = self._folders[0]
        tracker.save(self._scratch)
        with explained(folder):
            folder.mkdir(exist_ok=True)
            data = zlib.compress(self._scratch.read_bytes(), 1)
        write_bytes(folder / name, data)
        places = sorted(place for place in self._kept(folder))
        while len(places) > MOST:
            gaps = {places[k]: places[k + 1] - places[k - 1] for k in range(1, len(places) - 1)}
            place = min(gaps, key=lambda place: (gaps[place], place))
            (folder / (self._name(self._order[place]) or "")).unlink(missing_ok=True)
            places.remove(place)

    def before(self, place: int, engine: Engine) -> tuple[Tracker, int]:
        """The tracker of the last state before a place in the order, and the place to go on from; a new one and 0."""
        found = {kept: folder for folder in reversed(self._folders) for kept in self._kept(folder) if kept < place}
        for kept in sorted(found, reverse=True):
            path = found[kept] / (self._name(self._order[kept]) or "")
            with contextlib.suppress(OSError, zlib.error, WeightsError):  # damaged: an earlier one serves as well
                self._scratch.write_bytes(zlib.decompress(path.read_bytes()))
                tracker = Tracker.load(self._scratch, engine.network, engine.flow)
                if tracker.frame_index == self._order[kept]:
                    return tracker, kept + 1
        return engine.tracker(), 0

    def _kept(self, folder: Path) -> list[int]:
        """Places in the order of the states there."""
        names = {path.name for path in folder.iterdir()} if folder.is_dir() and not folder.is_symlink() else set()
        numbers = (int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
        return [self._order.index(n) for n in numbers if n in self._order and self._name(n) in names]

    def _name(self, number: int) -> str | None:
        mark = self._marks.at(number)
        return None if mark is None else f"{number:05d}{'f' if self._order.step > 0 else 'b'}-{mark}.state"


def remove_stale(folder: Path, marks: Marks | None = None) -> None:
    """Remove the states that are of no use to a run; all of them without marks."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and (marks is None or marks.at(int(match[1])) != match[3]):
            with contextlib.suppress(OSError):
                path.unlink()
    with contextlib.suppress(OSError):  # it holds some still
        folder.rmdir()
