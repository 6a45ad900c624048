from __future__ import annotations

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_not_given_back_and_fetched_again():
    """Page faults of a loop that frees and allocates 40 MB: thousands a round without the setting, none with it."""
    code = """
import resource, sys, numpy as np
from agss_model.system.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    np.ones(5_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {}
    for mode in ("keep", "plain"):
        done = subprocess.run([sys.executable, "-c", code, mode], capture_output=True, text=True, check=True)
        faults[mode] = int(done.stdout)
    assert faults["keep"] < 200
    assert faults["keep"] < faults["plain"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_what_was_kept_is_given_back_above_a_limit_and_not_below():
    code = """
import numpy as np
from agss_model.system.allocator import give_back_memory, keep_freed_memory, resident_bytes
assert keep_freed_memory()
small = resident_bytes()
held = [np.ones(1_000_000) for _ in range(50)]
last = np.ones(1000)
del held
large = resident_bytes()
assert large > small + 300_000_000
assert not give_back_memory(large + 100_000_000)
assert resident_bytes() > small + 300_000_000
assert give_back_memory(small)
assert resident_bytes() < small + 100_000_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)
