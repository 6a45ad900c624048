"""Work in processes of its own that are killed at any moment, as often as `AGSS_KILLS` says, and begun again."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

KILLS = int(os.environ.get("AGSS_KILLS", "2"))
# A process that has imported what takes seconds, and forks: most of the time would go by before the work begins.
_PRELOADED = ["agss_model.cli.main", "agss_model.weights.registry", "av", "serverless.cli", "training.train"]

if sys.platform == "win32":
    pytest.skip("kills are tried where processes fork", allow_module_level=True)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)


def preload(*modules):
    """Have these imported, too, by the process that forks; it must not be at work yet."""
    _context.set_forkserver_preload([*_PRELOADED, *modules])


class Work:
    """Something to do again and again in a process, in folders that are new each time.

    Args:
        act: importable; called with `arguments` in the process.
        environment: of it, beside what it has.
        log: file for what it says.
    """

    def __init__(self, act, *arguments, log, environment=None):
        self.act, self.arguments, self.log, self.environment = act, arguments, log, environment or {}

    def start(self):
        process = _context.Process(target=_run, args=(self.act, self.arguments, str(self.log), self.environment))
        process.start()
        return process

    def finish(self):
        """Do it to the end."""
        self.end(self.start())

    def end(self, process):
        """Wait for a process that does it."""
        process.join(900)
        assert process.exitcode == 0, Path(self.log).read_text()[-3000:]

    def kill_after(self, seconds, begun=lambda: True):
        """Begin it, and end it with SIGKILL so long after it has begun; says whether it was still at it."""
        process = self.start()
        while process.is_alive() and not begun():
            process.join(0.0005)
        process.join(seconds)
        alive = process.is_alive()
        process.kill()
        process.join()
        return alive


def moments(seconds, count=KILLS):
    """When to kill what takes so many seconds, one after the other."""
    return np.random.default_rng(0).uniform(0.0, 1.05 * seconds, count).tolist()


def groups(seconds, count=KILLS):
    """The same, in groups to be killed one after the other before the work may come to its end."""
    given = moments(seconds, count)
    return [given[place : place + 8] for place in range(0, count, 8)]


def timed(work, begun=lambda: True):
    """Seconds that it takes once it has begun, and once what processes fork from has imported everything."""
    ready = _context.Process(target=os.getpid)
    ready.start()
    ready.join()
    process = work.start()
    while process.is_alive() and not begun():
        process.join(0.0005)
    began = time.monotonic()
    work.end(process)
    return time.monotonic() - began


def emptied(folder):
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def files_of(folder):
    """Bytes of every file below, by name; folders too, as None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _run(act, arguments, log, environment):
    os.environ.update(environment)
    torch.set_num_threads(1)
    with open(log, "a") as said:  # what was imported before the fork may hold on to the streams, so their files change
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    act(*arguments)


def command(*words):
    """`agss` with these words, to be done in a process."""
    from agss_model.cli.main import app

    app([str(word) for word in words])
