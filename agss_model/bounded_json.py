"""JSON from outside, counted before it is parsed: its objects can take a hundred times the bytes of its text."""

from __future__ import annotations

import json
from typing import Any


class JsonTooLargeError(ValueError):
    """More values than are taken."""


class JsonError(ValueError):
    """Not JSON, or nested too deeply."""


def values_in(data: bytes | bytearray) -> int:
    """An upper bound of the values in a JSON text: what looks like structure inside of strings counts, too."""
    return 1 + sum(data.count(mark) for mark in (b"{", b"[", b",", b":"))


def loads(data: bytes | bytearray | str, most: int) -> Any:  # noqa: ANN401 - whatever it holds
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
        raise JsonTooLargeError(f"The JSON holds up to {count} values; at most {most} are taken.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"This is not JSON ({type(error).__name__}).") from None
