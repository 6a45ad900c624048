"""JSON from outside, counted before it is parsed: its objects can take a hundred times the bytes of its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST = 10_000_000
"""Values of one file; each may take a hundred bytes."""
LARGEST = 1 << 28
"""Bytes of one file."""


class JsonTooLargeError(ValueError):
    """More values than are taken."""


class JsonError(ValueError):
    """Not JSON, or nested too deeply."""


def values_in(data: bytes | bytearray) -> int:
    """An upper bound of the values in a JSON text: what looks like structure inside of strings counts, too."""
    return 1 + sum(data.count(mark) for mark in (b"{", b"[", b",", b":"))


def loads(data: bytes | bytearray | str, most: int = MOST) -> Any:  # noqa: ANN401 - whatever it holds
    """Parse JSON of at most so many values.

    Args:
        data: the text, in UTF-8 where it is bytes.
        most: values, counted as `values_in` does.

    Raises:
        JsonTooLargeError: it may hold more.
        JsonError: it is not JSON, or nested more deeply than Python can follow.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if (count := values_in(raw)) > most:
        raise JsonTooLargeError(f"The JSON holds up to {count} values; at most {most} are taken; split it.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"This is not JSON ({type(error).__name__}).") from None


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever it holds
    """Parse a file, which may come from anywhere; errors of the file system are raised as they come.

    Raises:
        JsonTooLargeError: more than `LARGEST` bytes, or `MOST` values.
        JsonError: as `loads`.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise JsonTooLargeError(f"{path.name} has {size >> 20} MiB; at most {LARGEST >> 20} are taken.")
    return loads(path.read_bytes())
