"""Replicas that share a Redis, which gets into every state it can get into: no wrong mask, no fault, no waiting.

`AGSS_REDIS_REQUESTS=40 pytest -s tests/serverless/function/test_redis_states.py` is the long form.
"""

from __future__ import annotations

import os
import shutil
import time

import pytest
from bad_redis import BAD, RealRedis, bad_server
from function_client import Clip, Function, picture, quick_network

from serverless.function import redis_store
from serverless.function.cache import FeatureCache
from serverless.function.redis_store import connect_redis
from serverless.function.scenes import Scenes

REQUESTS = int(os.environ.get("AGSS_REDIS_REQUESTS", "4"))
REAL = ["as_it_should_be", "flushed", "full", "stopped", "writes_paused", "poisoned"]


class Timed:
    """A store, and the seconds that each request spent in it."""

    def __init__(self, store):
        self._store, self.spent, self.hits = store, [], 0

    def begin(self):
        self.spent.append(0.0)
        self._in(self._store.begin)

    def get(self, name):
        found = self._in(self._store.get, name)
        self.hits += found is not None
        return found

    def put(self, name, value):
        self._in(self._store.put, name, value)

    def _in(self, call, *arguments):
        began = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            self.spent[-1] += time.perf_counter() - began


def asked(function, number, states):
    clip = Clip(2)
    message = {"image": picture(clip.frame(number % 20)), "shapes": [None] * len(states), "states": states}
    return function.post(message)


@pytest.fixture(scope="module")
def expected():
    """What comes out without Redis."""
    function, clip = Function(), Clip(2)
    start = states = function.start(clip.frame(0), clip.shapes(0))
    answers = []
    for number in range(1, REQUESTS + 1):
        status, reply = asked(function, number, states)
        assert status == 200
        answers.append(reply)
        states = reply["states"]
    return start, answers


def check(port, expected, before, monkeypatch):
    """Two replicas that remember nothing themselves take turns; returns the seconds that requests lost."""
    monkeypatch.setattr(redis_store, "PAUSE", 0.05)  # so that every request tries again
    stores = [Timed(connect_redis("127.0.0.1", port, "n", lambda _: None)) for _ in range(2)]
    replicas = [Function(Scenes(quick_network(), FeatureCache(300_000, far=store))) for store in stores]
    start, answers = expected
    states = start
    for number, answer in enumerate(answers, 1):
        before(number)
        assert asked(replicas[number % 2], number, states) == (200, answer)
        states = answer["states"]
        replicas[number % 2].scenes.cache.clear()
        time.sleep(0.06)
    spent = [seconds for store in stores for seconds in store.spent]
    print(f"of {len(spent)} requests the slowest lost {max(spent):.3f} s; {sum(s.hits for s in stores)} hits")
    if "AGSS_REDIS_REQUESTS" in os.environ:  # a busy machine takes its time for everything
        assert max(spent) < 0.25
    return stores


@pytest.mark.parametrize("state", [*BAD, "closed"])
def test_a_bad_server_changes_nothing(state, expected, monkeypatch):
    with bad_server(state) as port:
        assert not sum(store.hits for store in check(port, expected, lambda number: None, monkeypatch))


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
@pytest.mark.parametrize("state", REAL)
def test_a_real_redis_in_any_state_changes_nothing(state, expected, monkeypatch, tmp_path):
    server = RealRedis(tmp_path)
    try:
        begun = []

        def before(number):
            if state not in ("stopped", "writes_paused") or not begun:
                getattr(server, state)(number)
                begun.append(number)

        stores = check(server.port, expected, before, monkeypatch)
        hits = sum(store.hits for store in stores)
        assert state == "as_it_should_be" or not hits or state in ("poisoned", "flushed")
    finally:
        server.close()
