"""What is kept between requests: bounded in bytes and time, and never a reason for another answer."""

from __future__ import annotations

import fakeredis
import pytest
import torch
from function_client import Clip, Function, quick_network

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.network.base import Features
from serverless.function import redis_store
from serverless.function.cache import FeatureCache, fingerprint, memorable
from serverless.function.redis_store import RedisStore
from serverless.function.scenes import Scenes

CPU = torch.device("cpu")
GRID = (6, 10)
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
    assert cache.get("a", CPU, GRID) is not None
    cache.put("d", entry())
    assert cache.bytes == 3 * SIZE
    assert cache.get("b", CPU, GRID) is None
    assert all(cache.get(name, CPU, GRID) is not None for name in "acd")
    assert cache.evicted == 1


def test_an_entry_larger_than_the_cache_is_not_kept():
    cache = FeatureCache(SIZE - 1)
    cache.put("a", entry())
    assert cache.get("a", CPU, GRID) is None
    assert cache.bytes == 0


def test_entries_leave_when_idle_and_when_old_even_if_used():
    clock = Clock()
    cache = FeatureCache(1 << 20, idle_seconds=10, max_seconds=60, now=clock)
    cache.put("idle", entry())
    cache.put("used", entry())
    for clock.now in range(5, 60, 5):
        assert cache.get("used", CPU, GRID) is not None
    assert cache.get("idle", CPU, GRID) is None
    clock.now = 61
    assert cache.get("used", CPU, GRID) is None
    assert cache.bytes == 0
    assert cache.evicted == 2


def test_the_same_name_is_counted_once():
    cache = FeatureCache(1 << 20)
    for _ in range(3):
        cache.put("a", entry())
    assert cache.bytes == SIZE


@pytest.fixture
def server(monkeypatch):
    """In memory; however busy the machine is, it is waited for."""
    monkeypatch.setattr(redis_store, "PATIENCE", 60.0)
    return fakeredis.FakeServer()


def store(server):
    return RedisStore(fakeredis.FakeRedis(server=server), "n", lambda _: None)


def test_only_what_a_memory_needs_is_kept():
    image = torch.rand(1, 3, 96, 160)
    kept = memorable(quick_network().encode(image))
    assert kept.levels == ()
    assert kept.image.numel() == 0
    assert kept.key.dtype == torch.float16
    appearance = torch.rand(1, 5, 6, 10)
    assert memorable(Features(image, (), kept.key.float(), appearance)).appearance is appearance
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
