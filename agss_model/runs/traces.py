"""What a run leaves in a folder, and which of the files there are its own.

- `run.json`: what was asked, whether it is finished, and every file it wrote with its SHA-256
- `masks/`: one PNG per frame
- `scores.csv`, and `overlay.mp4` or `overlay/` with one JPEG per frame: written at the end
- `.progress/`: while unfinished, scores and files so far and the tracker's state
- `.next/`: while unfinished, a run that is to replace the one in this folder, with files like these
- `.states/`: the tracker's state at some frames, for corrections
- `.lock`, `.lock.holder`: while a process is at work
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agss_model.bounded_json import read_json
from agss_model.errors import OutputError
from agss_model.files import explained, is_leftover, remove_leftovers, sha256_of, write_bytes, write_json
from agss_model.masks.files import by_number
from agss_model.runs.scores import HEADER
from agss_model.runs.states import is_state, remove_stale

_NAMES = re.compile(r"scores\.csv|overlay\.mp4|masks/[^/\\\0]+\.png|overlay/[^/\\\0]+\.jpg")
_FOLDERS = ("masks", "overlay")
_PROGRESS = ("scores.csv", "written.txt", "state.safetensors", "overlay.mp4")
_LOCK = (".lock", ".lock.holder")
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file managers leave; neither ours nor anybody's


@dataclass(frozen=True)
class Record:
    """Content of `run.json`.

    Attributes:
        asked: everything that decides about the masks, as plain values.
        finished: whether the run is.
        files: SHA-256 of every file that the finished run wrote, by its name in the folder, such as `masks/00000.png`.
        anew: while unfinished, whether everything is to be tracked even where an earlier run has it.
    """

    asked: dict[str, Any]
    finished: bool = False
    files: dict[str, str] = field(default_factory=dict)
    anew: bool = False


class Traces:
    """Files of one run."""

    def __init__(self, root: Path, naming: Callable[[int], str] = by_number) -> None:
        self.root = root
        self.naming = naming
        self.record = root / "run.json"
        self.masks = root / "masks"
        self.scores = root / "scores.csv"
        self.overlay = root / "overlay.mp4"
        self.overlays = root / "overlay"
        self.progress = root / ".progress"
        self.log = self.progress / "scores.csv"
        self.written = self.progress / "written.txt"
        self.state = self.progress / "state.safetensors"
        self.states = root / ".states"
        self.lock = root / ".lock"
        self.next = root / ".next"

    def mask(self, number: int) -> Path:
        """The mask of a frame."""
        return self.masks / f"{self.naming(number)}.png"

    def shown(self, number: int) -> Path:
        """A frame with its masks drawn over it."""
        return self.overlays / f"{self.naming(number)}.jpg"

    def name(self, path: Path) -> str:
        """The name under which the record lists a file."""
        return path.relative_to(self.root).as_posix()

    def keep(self, path: Path, data: bytes) -> None:
        """Write a file of this run, and note first that it is the run's own, so that a kill leaves none unnamed.

        Raises:
            OutputError: it cannot be written, or somebody put a file in its place.
        """
        self._refuse_others(path)
        self._note(path, hashlib.sha256(data).hexdigest())
        write_bytes(path, data)

    def adopt(self, beside: Path, path: Path) -> None:
        """Put a file that was written elsewhere on the same disk into its place, noted like those of `keep`.

        Raises:
            OutputError: it cannot be moved, or somebody put a file in its place.
        """
        self._refuse_others(path)
        with explained(path):
            self._note(path, sha256_of(beside))
            beside.replace(path)

    def _refuse_others(self, path: Path) -> None:
        if os.path.lexists(path) and not self.owns(path, self.known()):
            raise OutputError(
                f"{path} came from somebody else while the run was at work; move it elsewhere and give the same "
                "command again"
            )

    def read_record(self) -> Record | None:
        """The record, or None where there is none.

        Raises:
            OutputError: it cannot be read, or is no record of a run.
        """
        if not self.record.exists() and not self.record.is_symlink():
            return None
        try:
            content = read_json(self.record)
            files = {str(name): str(digest) for name, digest in content.get("files", {}).items()}
            if foreign := [name for name in files if not _NAMES.fullmatch(name)]:
                raise ValueError(f"it names {foreign[0]!r}")
            return Record(dict(content["asked"]), bool(content["finished"]), files, bool(content.get("anew")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise OutputError(f"{self.record} is no record of a run ({error!r}); choose another --out") from error

    def write_record(self, record: Record) -> None:
        """Write the record.

        Raises:
            OutputError: it cannot be written.
        """
        content = {"asked": record.asked, "finished": record.finished, "columns of scores.csv": HEADER}
        content |= {"anew": True} if record.anew else {}
        write_json(self.record, content | {"files": dict(sorted(record.files.items()))})

    def known(self) -> dict[str, set[str]]:
        """Digests of the files that the run says it wrote, by name; empty where there is no record."""
        record = self.read_record() if self.is_run() else None
        if record is None:
            return {}
        known = {name: {digest} for name, digest in record.files.items()}
        if self.written.is_file() and not self.progress.is_symlink():
            for line in self.written.read_text(encoding="utf-8", errors="replace").splitlines():
                digest, _, name = line.partition(" ")
                if _NAMES.fullmatch(name):
                    known.setdefault(name, set()).add(digest)
        return known

    def owns(self, path: Path, known: dict[str, set[str]]) -> bool:
        """Whether a file is as the run wrote it: a changed one is somebody's work."""
        plain = path.is_file() and not path.is_symlink() and not path.parent.is_symlink()
        return plain and self.name(path) in known and sha256_of(path) in known[self.name(path)]

    def strangers(self) -> list[str]:
        """Names of what is in the folder and not this run's own; below folders that no run makes nobody looks."""
        known, found = self.known(), list[str]()
        for entry in sorted(self.root.iterdir()) if self.root.is_dir() else []:
            name = entry.name
            if name in _LITTER or is_leftover(name) or name in _LOCK:
                continue
            if name == self.record.name:
                found += [] if self.is_run() else [name]
            elif entry.is_symlink() or not entry.is_dir():
                found += [] if self.owns(entry, known) else [name]
            elif entry == self.next:
                found += [f"{name}/{stranger}" for stranger in Traces(entry).strangers()]
            elif entry == self.progress:
                found += [f"{name}/{each.name}" for each in _others(entry) if each.name not in _PROGRESS]
            elif entry == self.states:
                found += [f"{name}/{each.name}" for each in _others(entry) if not is_state(each.name)]
            elif name in _FOLDERS:
                found += [self.name(each) for each in _others(entry) if not self.owns(each, known)]
            else:
                found.append(f"{name}/")
        return found

    def remove(self) -> None:
        """Remove the run's own files, one by one; everything else stays. The record goes last.

        Raises:
            OutputError: a file cannot be removed.
        """
        known = self.known()
        with explained(self.root):
            for name in known:
                if self.owns(self.root / name, known):
                    (self.root / name).unlink()
            self.remove_progress()
            remove_stale(self.states)
            if self.is_run():
                self.record.unlink()
        for folder in (*(self.root / name for name in _FOLDERS), self.root):
            remove_leftovers(folder)
            _remove_empty(folder)

    def remove_progress(self) -> None:
        """Remove what only an unfinished run needs."""
        remove_leftovers(self.progress)
        for name in _PROGRESS:
            with contextlib.suppress(OSError):
                (self.progress / name).unlink()
        _remove_empty(self.progress)

    def _note(self, path: Path, digest: str) -> None:
        with explained(path), self.written.open("a", encoding="utf-8") as file:
            file.write(f"{digest} {self.name(path)}\n")

    def is_run(self) -> bool:
        """Whether a record of a run is here."""
        try:
            return self.read_record() is not None and not self.record.is_symlink()
        except OutputError:
            return False


def _others(folder: Path) -> list[Path]:
    return [each for each in sorted(folder.iterdir()) if each.name not in _LITTER and not is_leftover(each.name)]


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds something else, or was never made
        if not folder.is_symlink():
            folder.rmdir()
