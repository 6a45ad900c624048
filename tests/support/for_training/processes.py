"""Training in a process of its own, to be interrupted or killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from little_data import REPOSITORY


def start_python(*arguments):
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_steps(process, out, count):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "log.jsonl").exists() and len((out / "log.jsonl").read_text().splitlines()) >= count:
            return
        time.sleep(0.01)
    process.kill()
    raise AssertionError(f"no {count} steps: {process.communicate(timeout=10)}")
