"""What is kept between requests: bounded in bytes and time, and never a reason for another answer."""

from __future__ import annotations

import fakeredis
import pytest
import redis
import torch
from function_client import Clip, Function, quick_network

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.network.base import Features
from serverless.function.cache import REDIS_SECONDS, REDIS_SLOTS, FeatureCache, RedisStore, fingerprint, memorable
from serverless.function.scenes import Scenes

CPU = torch.device("cpu")
SIZE = 2 * 64 * 6 * 10  # bytes of one entry below


def entry(value=0.5):
    key = torch.full((1, 64, 6, 10), value).half()
    return Features(key.new_empty(0), (), key)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_bytes_are_bounded_and_the_least_used_goes_first():
    cache = FeatureCache(3 * SIZE)
    for name in "abc":
        cache.put(name, entry())
    assert cache.get("a", CPU) is not None
    cache.put("d", entry())
    assert cache.bytes == 3 * SIZE
    assert cache.get("b", CPU) is None
    assert all(cache.get(name, CPU) is not None for name in "acd")
    assert cache.evicted == 1


def test_an_entry_larger_than_the_cache_is_not_kept():
    cache = FeatureCache(SIZE - 1)
    cache.put("a", entry())
    assert cache.get("a", CPU) is None
    assert cache.bytes == 0


def test_entries_leave_when_idle_and_when_old_even_if_used():
    clock = Clock()
    cache = FeatureCache(1 << 20, idle_seconds=10, max_seconds=60, now=clock)
    cache.put("idle", entry())
    cache.put("used", entry())
    for clock.now in range(5, 60, 5):
        assert cache.get("used", CPU) is not None
    assert cache.get("idle", CPU) is None
    clock.now = 61
    assert cache.get("used", CPU) is None
    assert cache.bytes == 0
    assert cache.evicted == 2


def test_the_same_name_is_counted_once():
    cache = FeatureCache(1 << 20)
    for _ in range(3):
        cache.put("a", entry())
    assert cache.bytes == SIZE


@pytest.fixture
def server():
    return fakeredis.FakeServer()


def store(server, network="n", log=lambda _: None):
    return RedisStore(fakeredis.FakeRedis(server=server), network, log)


def test_another_replica_finds_entries_in_redis_bit_for_bit(server):
    features = entry(0.123)
    FeatureCache(1 << 20, far=store(server)).put("a", features)
    replica = FeatureCache(1 << 20, far=store(server))
    assert torch.equal(replica.get("a", CPU).key, features.key)
    assert replica.bytes == SIZE  # and keeps it


def test_entries_of_other_weights_are_not_seen(server):
    FeatureCache(1 << 20, far=store(server, "one")).put("a", entry())
    assert FeatureCache(1 << 20, far=store(server, "two")).get("a", CPU) is None


def test_redis_never_holds_more_than_its_slots_and_forgets_by_itself(server):
    far = store(server)
    for number in range(3 * REDIS_SLOTS):
        far.put(f"name {number}", b"x" * 100)
    client = fakeredis.FakeRedis(server=server)
    assert 0 < len(client.keys()) <= REDIS_SLOTS
    assert all(0 < client.ttl(key) <= REDIS_SECONDS for key in client.keys()[:20])


@pytest.mark.parametrize(
    "data", [b"", b"short", b"\x01\x00\x02\x00\x02\x00\x02\x00" + b"\x00" * 15, b"\x02\x00\x01\x00\x01\x00\x01\x00" * 2,
             b"\x01\x00\x01\x00\x01\x00\x01\x00\x00\x7c", b"\xff" * 100],
)  # fmt: skip
def test_what_lies_damaged_in_redis_is_a_miss(server, data):
    far = store(server)
    far.put("a", data)
    assert FeatureCache(1 << 20, far=far).get("a", CPU) is None


def test_a_redis_that_does_not_answer_is_asked_once_and_then_left_alone_for_a_while():
    calls, lines = [], []

    class Dead:
        def get(self, name):
            calls.append(name)
            raise redis.ConnectionError("no route")

        set = get

    cache = FeatureCache(1 << 20, far=RedisStore(Dead(), "n", lines.append))
    for name in "abcd":
        assert cache.get(name, CPU) is None
    cache.put("a", entry())
    assert cache.get("a", CPU) is not None
    assert len(calls) == 1
    assert len(lines) == 1
    assert "Redis" in lines[0]


def test_only_what_a_memory_needs_is_kept():
    image = torch.rand(1, 3, 96, 160)
    kept = memorable(quick_network().encode(image))
    assert kept.levels == ()
    assert kept.image.numel() == 0
    assert kept.key.dtype == torch.float16
    without_key = build_network(preset("rgmp")).eval()
    features = without_key.encode(torch.rand(1, 3, 64, 64))
    assert memorable(features) is features


def test_other_weights_and_other_settings_have_another_fingerprint():
    torch.manual_seed(0)
    one = build_network(preset("lite"))
    assert fingerprint(one) == fingerprint(one)
    torch.manual_seed(1)
    assert fingerprint(build_network(preset("lite"))) != fingerprint(one)


@pytest.mark.parametrize("kind", ["none", "tiny", "redis"])
def test_answers_do_not_depend_on_what_is_cached(server, kind):
    clip = Clip(2)
    reference = Function()
    states = reference.start(clip.frame(0), clip.shapes(0))
    expected, _ = reference.track(clip.frames(1, 4), states)
    caches = {
        "none": lambda: FeatureCache(0),
        "tiny": lambda: FeatureCache(70_000),
        "redis": lambda: FeatureCache(1 << 26, far=store(server)),
    }
    function = Function(Scenes(quick_network(), caches[kind]()))
    assert function.track(clip.frames(1, 4), states)[0] == expected
    if kind == "redis":  # a second replica needs to look at new frames only
        replica = Function(Scenes(quick_network(), caches[kind]()))
        assert replica.track(clip.frames(1, 4), states)[0] == expected
