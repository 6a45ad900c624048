"""Words for people: numbers with their nouns, and text from outside that a terminal may show."""

from __future__ import annotations

from collections.abc import Sequence


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "track"), plural(20, "frame"), plural(2, "box")
        ('1 track', '20 frames', '2 boxes')
    """
    ending = "" if number == 1 else "es" if noun.endswith(("x", "s", "ch")) else "s"
    return f"{number} {noun}{ending}"


def printable(text: str) -> str:
    r"""Text from outside without line breaks, escape sequences and marks that turn the direction of writing.

    Example:
        >>> printable("person\x1b[31m\n")
        'person?[31m?'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def listing(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many there are beside."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
