"""The server's side of a worker: what it says of one that does not start, and that it waits for none for ever."""

from __future__ import annotations

import pytest

from serverless.local.worker import Worker, WorkerDiedError

STARTING = {
    "dies": ("import os; os._exit(3)", "its process ended while it started"),
    "hangs": ("import time; time.sleep(60)", "it was not ready within 1 s"),
    "raises": ("raise RuntimeError('no such device')", "RuntimeError: no such device"),
    "lacks": ("", "AttributeError: module 'lacks' has no attribute 'handler'"),
}


@pytest.fixture
def worker(tmp_path, monkeypatch):
    made = []

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        made.append(Worker(0, f"{name}:handler", {}))
        return made[0]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("name", STARTING)
def test_why_a_worker_does_not_start_is_said(worker, name):
    code, reason = STARTING[name]
    one = worker(name, code)
    one.start()
    assert reason in one.wait(1 if name == "hangs" else 60)
    assert not one.ready
    one.stop()
    assert not one.alive


def test_a_worker_that_was_not_started_or_was_stopped_takes_nothing(worker):
    one = worker("never", "")
    assert one.wait(0) == "it was not started"
    assert (one.pid, one.alive) == (None, False)
    with pytest.raises(WorkerDiedError):
        one.call({}, 1)
    one.stop()
    assert not one.ready
