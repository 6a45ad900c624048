"""Files on the disk: written whole or not at all, held by one process at a time, told apart by their digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agss_model.errors import MediaError, OutputError

_BLOCK = 1 << 20
_LEFTOVER = re.compile(r"\.(.*)\.[0-9a-f]{16}\.part")
_NAMED = 100  # characters of a name that its part has
_swept: set[Path] = set()  # folders cleared of what killed processes left, by this one
_HOUR = 3600.0  # nothing is written for so long without a change


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; errors of the file system are raised as they come."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def refuse_pipe(path: Path) -> None:
    """Refuse what is there and neither a file nor a folder: whoever opened a pipe would wait for somebody to write.

    Raises:
        MediaError: it is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise MediaError(f"{path} is a pipe or device and no file; save what comes from it, and give the file")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of the file system into sentences.

    Raises:
        OutputError: the block could not write.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose another place, or free some space"
        ) from error


@contextlib.contextmanager
def unfinished(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """A new, empty file or folder beside `path`, to be renamed to it once it is whole; removed if it is still there.

    It is made with O_EXCL under a name that nobody can guess, so that no link can lead the writing elsewhere, and with
    the permissions that new files have. Meanwhile it is locked, by which others tell it from what a killed process has
    left; that goes with the first file, and with every folder, that a process makes in the same place. Errors of the
    file system are raised as they come.
    """
    parent = path.absolute().parent
    if folder or parent not in _swept:
        remove_leftovers(parent)
        _swept.add(parent)
    part, lock = _new_part(path, folder=folder)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or an error on its way says more
            _remove(part)
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new, empty folder of this user's in the system's temporary one, removed afterwards.

    What killed processes left of theirs goes, too. Errors of the file system are raised as they come.
    """
    with unfinished(Path(tempfile.gettempdir()) / "agss", folder=True) as folder:
        folder.chmod(stat.S_IRWXU)
        yield folder


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """As `unfinished`, for a file that is renamed to `path` when the block ends well.

    Args:
        path: the file to make or to replace; a link in its place is replaced, not followed.
        flush: wait until the content is on the disk, so that not even a power cut leaves half a file.
    """
    with unfinished(path) as part:
        yield part
        if flush:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(path)


def write_with(path: Path, write: Callable[[Path], object], *, flush: bool = True) -> None:
    """Let `write(temporary path)` make a file.

    Raises:
        OutputError: it cannot be written; an earlier file is untouched.
    """
    try:
        with replacing(path, flush=flush) as part:
            write(part)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError when the disk is full
        raise OutputError(
            f"cannot write {path} ({error}); an earlier one is untouched; choose another place, or free some space"
        ) from error


def write_bytes(path: Path, data: bytes, *, flush: bool = False) -> None:
    """Write a file, of which `flush` decides whether it survives a power cut.

    Raises:
        OutputError: as `write_with`.
    """
    write_with(path, lambda part: part.write_bytes(data), flush=flush)


def write_json(path: Path, content: object) -> None:
    """Write JSON for people to read.

    Raises:
        OutputError: as `write_with`.
    """
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode(), flush=True)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work for it is done.

    Raises:
        OutputError: it is a folder, or its folder is missing or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; give the name of a file")
    with explained(path), unfinished(path):
        pass


def is_leftover(name: str) -> bool:
    """Whether a file of this name was left by a process that ended while it wrote."""
    return _LEFTOVER.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove what processes left in a folder that ended while they wrote; what is being written now stays."""
    with contextlib.suppress(OSError):  # not a folder, or one that cannot be read
        for entry in list(folder.iterdir()):
            with contextlib.suppress(OSError):  # somebody else's, or just renamed; it does no harm
                if is_leftover(entry.name) and _is_abandoned(entry):
                    _remove(entry)


def _new_part(path: Path, *, folder: bool) -> tuple[Path, int | None]:
    """A new file or folder beside `path`, and its lock where the file system has some."""
    while True:
        part = path.with_name(f".{path.name[:_NAMED]}.{secrets.token_hex(8)}.part")
        if folder:
            part.mkdir(parents=True)
        else:
            part.open("xb").close()
        lock = None
        with contextlib.suppress(OSError):
            lock = _lock(part, wait=True)
        if os.path.lexists(part):
            return part, lock
        if lock is not None:  # another process took it for a leftover before it was locked
            os.close(lock)


def _is_abandoned(part: Path) -> bool:
    """Whether nobody is writing it; raises OSError where that cannot be told."""
    lock = _lock(part, wait=False)
    if lock is None:
        return time.time() - part.lstat().st_mtime > _HOUR
    os.close(lock)
    return True


def _lock(part: Path, *, wait: bool) -> int | None:
    """Lock a file or folder until the descriptor is closed or the process ends; None on Windows, which has none.

    Raises:
        OSError: somebody else has it and `wait` is not set, or the file system has no locks.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    file = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # no pipe is waited for, no link followed
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(file)
        raise
    return file


def _remove(part: Path) -> None:
    if stat.S_ISDIR(part.lstat().st_mode):
        shutil.rmtree(part)
    else:
        part.unlink()


@contextlib.contextmanager
def held(lock: Path, what: Path | None = None) -> Iterator[None]:
    """Be the only process that works on something; `lock` and a note of who holds it exist meanwhile.

    Args:
        lock: the file; of a killed process it stays until the next one.
        what: is held, for the message; None for the folder of the lock.

    Raises:
        OutputError: another process holds it, and the message says which; or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    holder = holder_of(lock)
    guard = FileLock(lock)
    with explained(lock):
        try:
            guard.acquire(timeout=0)
        except Timeout:
            who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "another process"
            raise OutputError(
                f"{what or lock.parent} is being written by {who}; wait for it, or stop it first"
            ) from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_bytes(holder, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode())
        yield
    finally:
        for path in (holder, lock):
            with contextlib.suppress(OSError):  # on Windows a file that is open stays until the next time
                path.unlink(missing_ok=True)
        guard.release()


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Make a folder where there is none, be the only process that works in it, and remove what a killed one left.

    Raises:
        OutputError: as `held`.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder / ".lock"):
        remove_leftovers(folder)
        yield


def holder_of(lock: Path) -> Path:
    """Where `held` notes who holds a lock."""
    return lock.with_name(f"{lock.name}.holder")
