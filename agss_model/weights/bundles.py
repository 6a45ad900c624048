"""Published weights: one folder a bundle, numbered versions under a name, one of them current.

    STORE/NAME/0001/bundle.json      SHA-256 of every other file of the bundle
    STORE/NAME/0001/weights.safetensors, card.md, gate.json, gate.html
    STORE/NAME/current.json          the version that the name means

A version is written beside and renamed when it is whole; it never changes afterwards. Rolling back only points
`current.json`, which is replaced in one step, to an earlier version.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agss_model.bounded_json import read_json
from agss_model.errors import OutputError, WeightsError
from agss_model.files import sha256_of, unfinished, write_json

VARIABLE = "AGSS_WEIGHTS_DIR"
RECORD, CURRENT, WEIGHTS = "bundle.json", "current.json", "weights.safetensors"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9]{4}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Bundle:
    """One published version.

    Attributes:
        name: what `load_model` calls it.
        version: from 1 on.
        folder: its files.
        files: SHA-256 by file name.
    """

    name: str
    version: int
    folder: Path
    files: dict[str, str]

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / WEIGHTS

    def verify(self) -> None:
        """Check every file.

        Raises:
            WeightsError: one is missing or not what was published.
        """
        for name, expected in self.files.items():
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != expected:
                raise WeightsError(f"{path} is missing or not what was published; roll back, or publish again")


def store_folder() -> Path:
    """Where published weights are: `AGSS_WEIGHTS_DIR`, else the user's folder for application data."""
    if given := os.environ.get(VARIABLE, ""):
        return Path(given)
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "agss-vos" / "weights"


def check_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        WeightsError: it cannot; nothing that could leave the store is a name.
    """
    if not _NAME.fullmatch(name):
        raise WeightsError(f"{name!r} is no name for weights; use up to 64 small letters, digits, - and _")
    return name


def published_names() -> tuple[str, ...]:
    """Names in the store, ascending."""
    try:
        entries = list(store_folder().iterdir())
    except OSError:
        return ()
    return tuple(sorted(e.name for e in entries if _NAME.fullmatch(e.name) and (e / CURRENT).is_file()))


def versions_of(name: str) -> tuple[int, ...]:
    """Published versions, ascending."""
    try:
        entries = list((store_folder() / check_name(name)).iterdir())
    except OSError:
        return ()
    return tuple(sorted(int(e.name) for e in entries if _VERSION.fullmatch(e.name) and (e / RECORD).is_file()))


def find_bundle(name: str) -> Bundle | None:
    """The bundle behind `NAME` (its current version) or `NAME@VERSION`; None where nothing has that name.

    Raises:
        WeightsError: the version is missing, or the store is damaged.
    """
    base, _, wanted = name.partition("@")
    if not _NAME.fullmatch(base) or not (store_folder() / base).is_dir():
        return None
    if wanted and not wanted.isdecimal():
        raise WeightsError(f"{name!r} names no version; write {base}@3, there are {list(versions_of(base))}")
    version = int(wanted) if wanted else current_version(base)
    return None if version is None else read_bundle(store_folder() / base / f"{version:04d}")


def current_version(name: str) -> int | None:
    """What a name means now, None where nothing was published.

    Raises:
        WeightsError: the store is damaged.
    """
    path = store_folder() / check_name(name) / CURRENT
    if not path.exists():
        return None
    try:
        return int(read_json(path)["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is damaged ({error!r}); roll back, or publish again") from error


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle from its folder; the weights' hash is compared when they are loaded.

    Raises:
        WeightsError: there is none, or its record is damaged or names files elsewhere.
    """
    record = folder / RECORD
    try:
        found = read_json(record)
        files = {str(name): str(digest) for name, digest in found["files"].items()}
        bundle = Bundle(str(found["name"]), int(found["version"]), folder, files)
    except FileNotFoundError as error:
        raise WeightsError(f"{folder} holds no published weights; see: agss weights list") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{record} is damaged ({error!r}); roll back, or publish again") from error
    if WEIGHTS not in files or not all(_FILE.fullmatch(name) for name in files):
        raise WeightsError(f"{record} is damaged: it names the files {sorted(files)}; roll back, or publish again")
    return bundle


def add_bundle(name: str, write: Callable[[Path, int], object]) -> Bundle:
    """Publish a version: `write(folder, version)` makes its files, then it becomes current.

    Raises:
        WeightsError: not a name.
        OutputError: the store cannot be written; nothing has changed then.
    """
    place = store_folder() / check_name(name)
    try:
        with unfinished(place / "version", folder=True) as beside:
            version = max(versions_of(name), default=0) + 1
            write(beside, version)
            files = {entry.name: sha256_of(entry) for entry in sorted(beside.iterdir())}
            record = {"name": name, "version": version, "files": files}
            (beside / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            _flush(beside)
            folder = place / f"{version:04d}"
            beside.rename(folder)
            _point(place, version)
    except OSError as error:
        raise OutputError(f"{place} cannot be written ({error}); nothing was published") from error
    return Bundle(name, version, folder, files)


def rollback(name: str) -> Bundle:
    """Make the version before the current one current again, if it is whole.

    Raises:
        WeightsError: nothing was published under this name, there is no earlier version, or it is damaged.
        OutputError: the store cannot be written.
    """
    current = current_version(name)
    if current is None:
        raise WeightsError(f"nothing is published as {name!r}; there are {', '.join(published_names()) or 'no names'}")
    earlier = [version for version in versions_of(name) if version < current]
    if not earlier:
        raise WeightsError(f"version {current} of {name} is the first; there is nothing to roll back to")
    place = store_folder() / name
    bundle = read_bundle(place / f"{earlier[-1]:04d}")
    bundle.verify()
    try:
        _point(place, bundle.version)
    except OSError as error:
        raise OutputError(f"{place} cannot be written ({error}); version {current} stays current") from error
    return bundle


def _point(place: Path, version: int) -> None:
    write_json(place / CURRENT, {"version": version})


def _flush(folder: Path) -> None:
    for entry in folder.iterdir():
        with entry.open("rb+") as file:
            os.fsync(file.fileno())
