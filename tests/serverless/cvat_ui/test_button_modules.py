"""The button's modules by themselves, with Node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
TESTS = Path(__file__).parent / "unit"


@pytest.mark.skipif(NODE is None, reason="needs Node.js 20 or newer")
@pytest.mark.parametrize("test", sorted(TESTS.glob("*.test.mjs")), ids=lambda path: path.name)
def test_the_modules(test):
    done = subprocess.run([NODE, "--test", str(test)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout
