"""Errors that a user can act on: what was wrong, with which value, and what to do.

The command line prints the message of an `AgssError` without a stack trace and exits with status 2.
"""

from __future__ import annotations

_LONGEST = 4000  # characters of a message


class AgssError(Exception):
    """Base of every error this package raises on purpose; of values of megabytes, start and end are shown."""

    def __str__(self) -> str:
        """The message."""
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


class MediaError(AgssError):
    """A video, image or mask file that cannot be used as it is."""


class MaskError(AgssError):
    """Masks or object ids that break the rules of label maps."""


class WeightsError(AgssError):
    """A weights file that is damaged, of something else, or does not fit the configuration."""


class ConfigError(AgssError):
    """A setting outside its range, or settings that exclude each other."""


class OutputError(AgssError):
    """A place that cannot be written, or that holds something else."""


def install(extra: str) -> str:
    """How to get an optional part; the package is not on PyPI.

    Example:
        >>> install("cvat")
        'pip install ".[cvat]" in a clone of this project'
    """
    return f'pip install ".[{extra}]" in a clone of this project'
