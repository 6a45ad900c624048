"""The output folder of a run: what is in it, whether a run may go on there, and how earlier output is kept safe.

- `run.json`: what was asked, and whether it is finished
- `masks/`: one PNG per frame
- `scores.csv`, `overlay.mp4`: written at the end
- `.progress/`: while unfinished, the scores so far and the tracker's state
- `.earlier/`: while a run that replaces another is unfinished, what it replaces
"""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agss_model.cli.scores import HEADER, read_rows, write_rows
from agss_model.errors import OutputError

Standing = Literal["fresh", "unfinished", "complete"]
_OUTPUT = ("run.json", "masks", "scores.csv", "overlay.mp4", ".progress")


class RunFolder:
    """Paths of a run, and the few operations on them that must not go wrong half way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = root / "run.json"
        self.masks = root / "masks"
        self.scores = root / "scores.csv"
        self.overlay = root / "overlay.mp4"
        self.progress = root / ".progress"
        self.log = self.progress / "scores.csv"
        self.state = self.progress / "state.safetensors"
        self._earlier = root / ".earlier"

    def mask(self, number: int) -> Path:
        """The mask of a frame."""
        return self.masks / f"{number:05d}.png"

    def standing(self, asked: Mapping[str, Any], frames: range, *, overwrite: bool = False) -> Standing:
        """What is here, compared with what is asked for; nothing is changed.

        Args:
            asked: everything that decides about the masks, as plain values.
            frames: numbers of the masks that a finished run leaves.
            overwrite: whatever is here may be replaced.

        Raises:
            OutputError: this cannot become a folder, or it holds something that must not be replaced.
        """
        blocker = next((path for path in (self.root, *self.root.parents) if path.exists()), None)
        if blocker is not None and not blocker.is_dir():
            raise OutputError(f"cannot write to folder {self.root}: {blocker} is a file; choose another --out")
        if overwrite:
            return "fresh"
        if not self.record.exists():
            if strangers := [name for name in _OUTPUT if (self.root / name).exists()]:
                raise OutputError(
                    f"{self.root} already holds {', '.join(strangers)}, but no run.json that says where it comes from; "
                    "choose another --out, or replace it with --overwrite"
                )
            return "fresh"
        record = self._read_record()
        if changes := _differences(record.get("asked"), json.loads(json.dumps(asked))):
            raise OutputError(
                f"{self.root} holds another run: {'; '.join(changes)}. "
                "Choose another --out, or replace it with --overwrite"
            )
        if not record.get("finished"):
            return "unfinished"
        missing = [path for path in (self.scores, *map(self.mask, frames)) if not path.is_file()]
        if missing:
            raise OutputError(
                f"the finished run in {self.root} lacks {len(missing)} of its files, the first is {missing[0].name}; "
                "put them back, or track again with --overwrite"
            )
        return "complete"

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Make room for a fresh run; what was here is put aside until `finish`.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".{uuid.uuid4().hex[:8]}.part"
            probe.touch()
            probe.unlink()
            if self._earlier.exists():  # an unfinished run had replaced another: that one is worth more
                self._clear()
            elif any((self.root / name).exists() for name in _OUTPUT):
                self._earlier.mkdir()
                self._move(self.root, self._earlier)
            self.masks.mkdir()
            self.progress.mkdir()
            write_rows(self.log, [])
            self._write_record(asked, finished=False)

    def restart(self) -> None:
        """Forget how far an unfinished run came; masks stay until they are written again.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _explained(self.root):
            self.masks.mkdir(exist_ok=True)
            self.progress.mkdir(exist_ok=True)
            self.state.unlink(missing_ok=True)
            write_rows(self.log, [])

    def keep_rows(self, numbers: Sequence[int]) -> bool:
        """Cut the log to the frames of `numbers`; False if one of these frames lacks its mask or its scores.

        Raises:
            OutputError: the folder cannot be written.
        """
        if not self.log.is_file():
            return False
        wanted = set(numbers)
        rows = [row for row in read_rows(self.log) if row.frame in wanted]
        with _explained(self.root):
            write_rows(self.log, dict.fromkeys(rows))
        return {row.frame for row in rows} == wanted and all(self.mask(number).is_file() for number in numbers)

    def publish_scores(self) -> None:
        """Put the finished table in its place, in the order of frames.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _explained(self.root):
            rows = {(row.frame, row.object_id): row for row in read_rows(self.log)}
            write_rows(self.scores, [rows[key] for key in sorted(rows)])

    def finish(self, asked: Mapping[str, Any]) -> None:
        """Call the run finished, and remove what was put aside.

        Raises:
            OutputError: the folder cannot be written.
        """
        with _explained(self.root):
            self._write_record(asked, finished=True)
        shutil.rmtree(self.progress, ignore_errors=True)
        shutil.rmtree(self._earlier, ignore_errors=True)

    def give_back(self) -> bool:
        """After a failure: put back what this run was to replace; False if it replaced nothing."""
        if not self._earlier.is_dir():
            return False
        with _explained(self.root):
            self._clear()
            self._move(self._earlier, self.root)
            self._earlier.rmdir()
        return True

    def _clear(self) -> None:
        for name in _OUTPUT:
            path = self.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    @staticmethod
    def _move(source: Path, target: Path) -> None:
        for name in _OUTPUT:
            if (source / name).exists():
                (source / name).rename(target / name)

    def _read_record(self) -> dict[str, Any]:
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self.record} cannot be read ({error}); choose another --out, or replace this run with --overwrite"
            ) from error
        return record if isinstance(record, dict) else {}

    def _write_record(self, asked: Mapping[str, Any], *, finished: bool) -> None:
        write_json(self.record, {"asked": asked, "finished": finished, "columns of scores.csv": HEADER})


def write_json(path: Path, content: object) -> None:
    """Write JSON for people to read, beside, then rename.

    Raises:
        OutputError: the place cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    with _explained(path):
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(path)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work for it is done.

    Raises:
        OutputError: it is a folder, or its folder is missing or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; give the name of a file")
    probe = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with _explained(path):
        probe.touch()
        probe.unlink()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose another place, or free some space"
        ) from error


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
