"""What the network saw in pictures, kept for the next request: faster, never different.

Entries are named by content, so a hit and a miss give the same. Both stores are bounded in bytes and time.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from agss_model.errors import ConfigError
from agss_model.network.base import AGSSVOS, Features

REDIS_SLOTS = 512
"""Entries that Redis holds at most, about 300 kB each; a new one takes the place of another."""
REDIS_SECONDS = 900
_REDIS_PATIENCE = 0.25  # seconds for one call
_REDIS_PAUSE = 30.0  # seconds without Redis after a failure


def memorable(features: Features) -> Features:
    """The part of a frame's features that a memory needs: the key in half precision, or all where there is no key."""
    if features.key is None:
        return features
    return Features(features.image.new_empty(0), (), features.key.half())


def fingerprint(network: AGSSVOS, engine: str = "torch") -> str:
    """Names a network by its settings and weights and by what runs it: engines differ in the last bits."""
    digest = hashlib.sha256(f"{network.config!r} {engine}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


class FarStore(Protocol):
    """Bytes under a name, shared by replicas; may forget at any time."""

    def get(self, name: str) -> bytes | None:
        """The bytes, or None."""

    def put(self, name: str, value: bytes) -> None:
        """Keep bytes for a while."""


@dataclass
class _Held:
    features: Features
    size: int
    made: float
    used: float


class FeatureCache:
    """Memorable features by the digest of their picture.

    Attributes:
        evicted: entries dropped so far, because of bytes, idle time or age.
    """

    def __init__(
        self,
        max_bytes: int,
        idle_seconds: float = 600,
        max_seconds: float = 3600,
        far: FarStore | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_bytes, self.idle_seconds, self.max_seconds = max_bytes, idle_seconds, max_seconds
        self.evicted = 0
        self._far, self._now = far, now
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Held now."""
        return self._bytes

    def get(self, name: str, device: torch.device) -> Features | None:
        """Features kept under a name, on `device`; None where there are none."""
        self._expire()
        if held := self._held.get(name):
            held.used = self._now()
            self._held.move_to_end(name)
            return held.features
        data = self._far.get(name) if self._far else None
        features = _from_bytes(data, device) if data else None
        if features is not None:
            self._keep(name, features)
        return features

    def put(self, name: str, features: Features) -> None:
        """Keep memorable features, here and where other replicas find them."""
        if name in self._held:
            return
        self._keep(name, features)
        if self._far is not None and features.key is not None:
            self._far.put(name, _to_bytes(features.key))

    def clear(self) -> None:
        """Drop everything held in this process."""
        self._held.clear()
        self._bytes = 0

    def _keep(self, name: str, features: Features) -> None:
        tensors = [features.image, *features.levels, *([features.key] if features.key is not None else [])]
        size = sum(t.numel() * t.element_size() for t in tensors)
        now = self._now()
        self._held[name] = _Held(features, size, now, now)
        self._bytes += size
        self._expire()
        while self._bytes > self.max_bytes and self._held:
            self._drop(next(iter(self._held)))

    def _expire(self) -> None:
        now = self._now()
        old = [n for n, h in self._held.items() if now - h.used > self.idle_seconds or now - h.made > self.max_seconds]
        for name in old:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._bytes -= self._held.pop(name).size
        self.evicted += 1


class RedisStore:
    """A `FarStore` in Redis that never takes more than `REDIS_SLOTS` entries, and never holds a request up.

    An entry's place follows from its name, and its full name is stored with it: what another name left there is a miss.
    """

    def __init__(self, client: Any, network: str, log: Callable[[str], None]) -> None:  # noqa: ANN401 - redis.Redis
        """Prepares.

        Args:
            client: of redis-py, or anything with its `get` and `set`.
            network: its `fingerprint`; others' entries are not seen.
            log: told once when Redis fails.
        """
        self._client, self._network, self._log = client, network, log
        self._silent_until = 0.0

    def get(self, name: str) -> bytes | None:
        """The bytes under a name; None for none, or while Redis cannot be reached."""
        label, stored = self._label(name), self._call(lambda: self._client.get(self._slot(name)))
        return stored[len(label) :] if isinstance(stored, bytes) and stored.startswith(label) else None

    def put(self, name: str, value: bytes) -> None:
        """Keep bytes for a quarter of an hour at most."""
        self._call(lambda: self._client.set(self._slot(name), self._label(name) + value, ex=REDIS_SECONDS))

    def _call(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the client gives
        """Do without Redis for a while when it fails."""
        import redis

        if time.monotonic() < self._silent_until:
            return None
        try:
            return call()
        except (redis.RedisError, OSError) as error:
            self._silent_until = time.monotonic() + _REDIS_PAUSE
            self._log(f"Redis does not answer ({type(error).__name__}); going on without it for {_REDIS_PAUSE:.0f} s.")
            return None

    def _label(self, name: str) -> bytes:
        return hashlib.sha256(f"{self._network} {name}".encode()).digest()

    def _slot(self, name: str) -> str:
        return f"agss-vos:{int.from_bytes(self._label(name)[:4], 'big') % REDIS_SLOTS}"


def connect_redis(host: str, port: int, network: str, log: Callable[[str], None]) -> RedisStore:
    """A store in the Redis that CVAT names to its functions; it is not contacted yet.

    Raises:
        ConfigError: the package redis is not installed.
    """
    try:
        import redis
    except ImportError:
        raise ConfigError(
            'CVAT_FUNCTIONS_REDIS_HOST is set, but the package redis is missing: pip install "agss-vos[redis]", or '
            "unset the variable."
        ) from None
    client = redis.Redis(host, port, socket_timeout=_REDIS_PATIENCE, socket_connect_timeout=_REDIS_PATIENCE)
    return RedisStore(client, network, log)


def _to_bytes(key: Tensor) -> bytes:
    """(1, K, h, w) half -> four numbers of 16 bits and the values."""
    shape = np.asarray(key.shape, "<u2").tobytes()
    return shape + key.cpu().contiguous().numpy().astype("<f2").tobytes()


def _from_bytes(data: bytes, device: torch.device) -> Features | None:
    """The features again; None where the bytes are not what `_to_bytes` gives."""
    if len(data) < 8:
        return None
    shape = tuple(int(side) for side in np.frombuffer(data[:8], "<u2"))
    if shape[0] != 1 or len(data) != 8 + 2 * int(np.prod(shape, dtype=np.int64)):
        return None
    values = np.frombuffer(data[8:], "<f2")
    if not np.isfinite(values).all():
        return None
    key = torch.from_numpy(values.astype(np.float16).reshape(shape)).to(device)
    return Features(key.new_empty(0), (), key)
