"""Keep freed memory in the process, up to a point.

On a CPU a third of a frame's time goes into fetching it from the system again.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of glibc's mallopt(3)
_MIB = 1 << 20


def keep_freed_memory(*, all_of_it: bool = False) -> bool:
    """Tell glibc to serve large blocks from its heap and to keep what is freed there.

    For processes whose main work is tracking; memory stays at its peak instead of going up and down, until
    `give_back_memory`.

    Args:
        all_of_it: keep more than 2 GB too, for training, whose every step frees and takes more than that.

    Returns:
        Whether it took effect; elsewhere than on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trim = -1 if all_of_it else 2047 * _MIB
    wanted = ((_MMAP_THRESHOLD, 1024 * _MIB), (_TRIM_THRESHOLD, trim), (_TOP_PAD, 64 * _MIB))
    return all([bool(mallopt(name, value)) for name, value in wanted])


def give_back_memory(above: int) -> bool:
    """Return what is free in the process to the system, if the process holds more than so many bytes.

    Returns:
        Whether something was returned; elsewhere than on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and resident_bytes() > above and bool(trim(0))


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
