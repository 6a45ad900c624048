"""Redis makes replicas faster or does nothing: it never holds a request up, and is never believed."""

from __future__ import annotations

import shutil
import time

import fakeredis
import pytest
import torch
from bad_redis import BAD, RealRedis, bad_server
from function_client import Clip, Function, quick_network

from agss_model.network.base import Features
from serverless.function import redis_store
from serverless.function.cache import FeatureCache, _to_bytes
from serverless.function.redis_client import RedisClient, RedisError
from serverless.function.redis_store import REDIS_SECONDS, REDIS_SLOTS, RedisStore, connect_redis
from serverless.function.scenes import Scenes

CPU, GRID = torch.device("cpu"), (6, 10)


def entry(value=0.5, grid=GRID, keys=64, appearance=3):
    return Features(
        torch.zeros(0).half(), (), torch.full((1, keys, *grid), value).half(), torch.rand(1, appearance, *grid)
    )


@pytest.fixture
def server(monkeypatch):
    """In memory; however busy the machine is, it is waited for."""
    monkeypatch.setattr(redis_store, "PATIENCE", 60.0)
    return fakeredis.FakeServer()


def store(server, network="n", secret=""):
    return RedisStore(fakeredis.FakeRedis(server=server), network, lambda _: None, secret)


def cache(far):
    """Of a replica that has looked at a picture of its own."""
    made = FeatureCache(1 << 20, far=far)
    made.put("its own", entry())
    return made


def eventually(told):
    end = time.monotonic() + 5
    while not told() and time.monotonic() < end:
        time.sleep(0.01)
    return told()


def test_another_replica_finds_entries_in_redis_bit_for_bit(server):
    features = entry(0.123)
    cache(store(server)).put("a", features)
    replica = cache(store(server))
    held = replica.bytes
    assert eventually(lambda: replica.get("a", CPU, GRID))
    found = replica.get("a", CPU, GRID)
    assert torch.equal(found.key, features.key)
    assert torch.equal(found.appearance, features.appearance)
    assert replica.bytes == 2 * held  # and keeps it


@pytest.mark.parametrize("other", [{"network": "two"}, {"secret": "two"}])
def test_entries_of_other_weights_and_other_secrets_are_not_seen(server, other):
    far = store(server, "one")
    far.put("a", b"x")
    assert eventually(lambda: far.get("a")) == b"x"
    assert store(server, **{"network": "one", **other}).get("a") is None


def test_redis_never_holds_more_than_its_slots_and_forgets_by_itself(server):
    far = store(server)
    for number in range(3 * REDIS_SLOTS):
        far.put(f"name {number}", b"x" * 100)
        assert eventually(lambda number=number: far.get(f"name {number}"))
        far.begin()
    client = fakeredis.FakeRedis(server=server)
    assert 0 < len(client.keys()) <= REDIS_SLOTS
    assert all(0 < client.ttl(key) <= REDIS_SECONDS for key in client.keys()[:20])


def test_entries_that_are_too_large_stay_here(server, monkeypatch):
    monkeypatch.setattr(redis_store, "REDIS_ENTRY_BYTES", 10)
    far = store(server)
    far.put("small", b"x" * 10)
    far.put("large", b"x" * 11)
    assert eventually(lambda: far.get("small"))
    assert len(fakeredis.FakeRedis(server=server).keys()) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"", b"short", b"\xff" * 100, _to_bytes(entry())[:-1], _to_bytes(entry(float("inf"))),
        _to_bytes(entry(grid=(10, 6))), _to_bytes(entry(keys=32)), _to_bytes(entry(appearance=4)),
    ],
)  # fmt: skip
def test_what_is_not_of_this_network_is_a_miss_even_where_its_digest_fits(server, data):
    far = store(server)
    far.put("a", data)
    assert eventually(lambda: far.get("a") == data)
    assert cache(far).get("a", CPU, GRID) is None


def test_a_value_under_the_right_name_with_another_digest_is_a_miss(server):
    far, client = store(server), fakeredis.FakeRedis(server=server)
    good = _to_bytes(entry())
    far.put("a", good)
    assert eventually(lambda: far.get("a"))
    slot = client.keys()[0]
    stored = client.get(slot)
    for forged in (stored[:-1] + b"\x00", stored[:-1], stored + b"\x00", b"\x00" * 32 + stored[32:], stored[:32]):
        client.set(slot, forged)
        far.begin()
        assert far.get("a") is None
    client.delete(slot)
    client.lpush(slot, b"not a string")
    assert far.get("a") is None


@pytest.mark.parametrize("state", [*BAD, "closed"])
def test_no_state_of_redis_keeps_the_processor_busy(state):
    """A client of a whole Redis took 60 ms for replies inside replies, a second where others want the processor."""
    with bad_server(state) as port:
        client = RedisClient("127.0.0.1", port, 0.1)
        began = time.thread_time()
        with pytest.raises((OSError, RedisError)):
            client.getrange("a", 0, 1000)
        assert time.thread_time() - began < 0.02


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_the_client_speaks_to_a_real_redis_and_finds_it_again(tmp_path):
    server = RealRedis(tmp_path)
    try:
        client = RedisClient("127.0.0.1", server.port, 5.0)
        value = bytes(range(256)) * 6000
        assert client.getrange("a", 0, len(value)) == b""
        client.set("a", value, ex=60)
        assert client.getrange("a", 0, len(value)) == value
        assert client.getrange("a", 3, 7) == value[3:8]
        assert 0 < server.client.ttl("a") <= 60
        server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert client.getrange("a", 0, 3) == value[:4]
        server.client.lpush("list", "x")
        with pytest.raises(RedisError):
            client.getrange("list", 0, 10)
        assert client.getrange("a", 0, 3) == value[:4]
    finally:
        server.close()


@pytest.fixture(params=[*BAD, "closed"])
def bad_port(request):
    with bad_server(request.param) as port:
        yield port


def test_no_state_of_redis_holds_a_request_up_or_fails_it(bad_port, monkeypatch):
    monkeypatch.setattr(redis_store, "PAUSE", 0.05)  # so that every request tries again
    lines = []
    far = connect_redis("127.0.0.1", bad_port, "n", lines.append)
    waited = []
    for request in range(4):
        far.begin()
        began = time.monotonic()
        for look in range(5):
            assert far.get(f"{request} {look}") is None
        far.put(str(request), b"x" * 1000)
        waited.append(time.monotonic() - began)
        time.sleep(0.06)
    assert sorted(waited)[1] < 1, waited  # the others may have met a busy machine
    clip = Clip(2)
    expected = Function()
    states = expected.start(clip.frame(0), clip.shapes(0))
    function = Function(Scenes(quick_network(), FeatureCache(1 << 26, far=far)))
    assert function.follow(clip.frame(1), states) == expected.follow(clip.frame(1), states)


def test_a_redis_that_does_not_answer_is_asked_once_and_then_left_alone_for_a_while():
    calls, lines = [], []

    class Dead:
        def getrange(self, *_):
            calls.append(1)
            raise OSError("no route")

        set = getrange

    held = FeatureCache(1 << 20, far=RedisStore(Dead(), "n", lines.append))
    for name in "abcd":
        assert held.get(name, CPU, GRID) is None
    held.put("a", entry())
    assert held.get("a", CPU, GRID) is not None
    assert len(calls) == 1
    assert len(lines) == 1
    assert "Redis" in lines[0]
