"""Commands in processes that can be killed: each is forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import sys

PRELOAD = [
    "agss_model.cli.main",
    "agss_model.weights.registry",
    "agss_model.runs.run",
    "pycocotools.mask",
    "kill_target",
]


def started(words, log):
    """A process that runs `agss` with these words."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=_run, args=([str(word) for word in words], str(log)), daemon=True)
    process.start()
    return process


def _run(words, log):
    from agss_model.cli.main import app

    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    try:
        app(words)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))
