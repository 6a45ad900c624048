from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agss_model.system import allocator


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


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_elsewhere_than_on_linux_nothing_is_asked_of_the_system(system, monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", system)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: pytest.fail("the C library was opened"))
    assert allocator.keep_freed_memory() is False
    assert allocator.give_back_memory(0) is False


def test_a_c_library_without_these_calls_is_left_alone(monkeypatch):
    """As musl, which has neither."""
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    assert allocator.keep_freed_memory() is False
    assert allocator.give_back_memory(0) is False


@pytest.mark.parametrize(("all_of_it", "trim"), [(False, 2047 << 20), (True, -1)])
def test_what_is_asked_of_glibc_fits_its_signed_numbers_and_every_refusal_shows(all_of_it, trim, monkeypatch):
    """In mallopt(3) M_TRIM_THRESHOLD is -1, M_TOP_PAD -2 and M_MMAP_THRESHOLD -3; its values are int."""
    asked = {}

    def mallopt(name, value):
        asked[name] = value
        return int(name != refused)

    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: type("Library", (), {"mallopt": staticmethod(mallopt)}))
    for refused in (None, -1, -2, -3):
        asked.clear()
        assert allocator.keep_freed_memory(all_of_it=all_of_it) is (refused is None)
        assert asked == {-1: trim, -2: 64 << 20, -3: 1024 << 20}
        assert all(-(1 << 31) <= value < 1 << 31 for value in asked.values())


@pytest.mark.parametrize("text", [None, "", "12", "twelve pages"])
def test_where_the_system_does_not_say_what_a_process_holds_it_is_0_and_nothing_is_given_back(
    text, tmp_path, monkeypatch
):
    place = tmp_path / "statm"
    if text is not None:
        place.write_text(text)
    monkeypatch.setattr(allocator, "Path", lambda _: place)
    assert allocator.resident_bytes() == 0
    assert allocator.give_back_memory(0) is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
def test_what_a_process_holds_is_what_the_system_says():
    """VmRSS in /proc/self/status, in kB; it may grow between both looks."""
    found = allocator.resident_bytes()
    status = Path("/proc/self/status").read_text()
    assert found == pytest.approx(1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]), rel=0.1)
