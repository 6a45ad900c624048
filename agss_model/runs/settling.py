"""How a finished run takes the place of an earlier one, and what is cleared up after a process that was killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agss_model.errors import OutputError
from agss_model.files import explained, remove_leftovers, sha256_of
from agss_model.runs.marks import Marks
from agss_model.runs.states import is_state, remove_stale
from agss_model.runs.traces import Record, Traces
from agss_model.words import listing


def recover(settled: Traces) -> None:
    """Clear up after a process that was killed.

    Raises:
        OutputError: as `settle`.
    """
    following = Traces(settled.next)
    for place in (settled,) if following.root.is_symlink() else (settled, following):
        remove_leftovers(place.root)  # also of one that ended while it wrote its first record
        if place.is_run():
            for folder in (place.root, place.masks, place.overlays, place.progress, place.states):
                remove_leftovers(folder)
    if following.root.is_symlink() or not following.root.is_dir():
        return
    record = following.read_record()
    if record is None:  # it was moved into its place
        following.remove()
    elif record.finished and _is_whole(settled, following, record):
        settle(settled)
    elif record.finished:
        _take_back(settled, following, record)


def _digests(record: Record) -> dict[str, set[str]]:
    return {name: {digest} for name, digest in record.files.items()}


def _is_whole(settled: Traces, following: Traces, record: Record) -> bool:
    """Whether every file of a finished run is in `.next/` or in its place already."""
    after = _digests(record)
    return all(os.path.lexists(following.root / name) or settled.owns(settled.root / name, after) for name in after)


def _take_back(settled: Traces, following: Traces, record: Record) -> None:
    """Let a finished run that has lost a file go on in `.next/`, with what was moved into its place already."""
    before, after = settled.known(), _digests(record)
    with explained(settled.root):
        for name in after:
            path = settled.root / name
            if settled.owns(path, after) and not settled.owns(path, before):
                (following.root / name).parent.mkdir(exist_ok=True)
                path.replace(following.root / name)
        following.write_record(replace(record, finished=False, anew=True))


def settle(settled: Traces) -> None:
    """Replace a run by the finished one in `.next/`; begun again after a kill, it comes to the same.

    Raises:
        OutputError: the folder cannot be written, or somebody changed a file that would be replaced.
    """
    following = Traces(settled.next)
    record = following.read_record() or Record({})
    before, after = settled.known(), _digests(record)

    def check(names: Iterable[str]) -> None:
        names = list(names)
        changed = [
            name
            for name in names
            if os.path.lexists(path := settled.root / name)
            and not (settled.owns(path, before) or settled.owns(path, after) or is_given(path, record.asked))
        ]
        changed += [
            f"{following.root.name}/{name}"
            for name in names
            if os.path.lexists(path := following.root / name) and not following.owns(path, after)
        ]
        if changed:
            raise OutputError(
                f"{listing(changed)} in {settled.root} changed while the run that replaces it was at work; move it "
                f"elsewhere and give the same command again (the new run is in {following.root})"
            )

    check(record.files)
    with explained(settled.root):
        for name in record.files:
            if (following.root / name).exists():
                check([name])  # with many files, the look at all of them was a while ago
                (settled.root / name).parent.mkdir(exist_ok=True)
                (following.root / name).replace(settled.root / name)
        for name in before.keys() - after.keys():
            if settled.owns(settled.root / name, before):
                (settled.root / name).unlink()
        with contextlib.suppress(OSError):  # it is not empty, or was never made
            settled.overlays.rmdir()
        _settle_states(settled, following, record)
        following.record.replace(settled.record)
    settled.remove_progress()
    following.remove()


def _settle_states(settled: Traces, following: Traces, record: Record) -> None:
    remove_stale(settled.states, Marks(record.asked))
    if following.states.is_dir() and not settled.states.is_symlink():
        settled.states.mkdir(exist_ok=True)
        for path in following.states.iterdir():
            if is_state(path.name):
                path.replace(settled.states / path.name)


def is_given(path: Path, asked: Mapping[str, Any]) -> bool:
    """Whether a mask is one of those given to the run, byte for byte: replacing it loses nothing."""
    plain = path.is_file() and not path.is_symlink() and not path.parent.is_symlink()
    return plain and sha256_of(path) in {about["sha256"] for about in asked["masks"].values()}
