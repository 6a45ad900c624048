"""What the network saw in pictures, kept for the next request: faster, never different.

Entries are named by content, so a hit and a miss give the same. Both stores are bounded in bytes and time.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from agss_model.network.base import AGSSVOS, Features


def memorable(features: Features) -> Features:
    """The part of a frame's features that a memory needs: half a key and the appearance; all where there is no key."""
    if features.key is None:
        return features
    return Features(features.image.new_empty(0), (), features.key.half(), features.appearance)


def fingerprint(network: AGSSVOS, engine: str = "torch") -> str:
    """Names a network by its settings and weights and by what runs it: engines differ in the last bits."""
    digest = hashlib.sha256(f"{network.config!r} {engine}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


class FarStore(Protocol):
    """Bytes under a name, shared by replicas; may forget at any time."""

    def begin(self) -> None:
        """A request begins."""

    def get(self, name: str) -> bytes | None:
        """The bytes, or None."""

    def put(self, name: str, value: bytes) -> None:
        """Keep bytes for a while."""


@dataclass
class _CacheEntry:
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
        self._held: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._bytes = 0
        self._channels: tuple[int, ...] | None = None

    @property
    def bytes(self) -> int:
        """Held now."""
        return self._bytes

    def begin(self) -> None:
        """A request begins; what it may wait for other replicas' entries is counted from here."""
        if self._far is not None:
            self._far.begin()

    def get(self, name: str, device: torch.device, grid: tuple[int, int]) -> Features | None:
        """Features kept under a name, on `device`; None where there are none of (height, width) cells `grid`."""
        self._expire()
        if held := self._held.get(name):
            held.used = self._now()
            self._held.move_to_end(name)
            return held.features
        data = self._far.get(name) if self._far else None
        features = _from_bytes(data, device) if data else None
        if features is None or features.key is None:
            return None
        if features.key.shape[2:] != grid or _channels(features) != self._channels:
            return None  # not of this network, whoever put it there
        self._keep(name, features)
        return features

    def put(self, name: str, features: Features) -> None:
        """Keep memorable features, here and where other replicas find them."""
        self._channels = _channels(features)
        if name in self._held:
            return
        self._keep(name, features)
        if self._far is not None and features.key is not None:
            self._far.put(name, _to_bytes(features))

    def clear(self) -> None:
        """Drop everything held in this process."""
        self._held.clear()
        self._bytes = 0

    def _keep(self, name: str, features: Features) -> None:
        tensors = [features.image, *features.levels, features.key, features.appearance]
        size = sum(t.numel() * t.element_size() for t in tensors if t is not None)
        now = self._now()
        self._held[name] = _CacheEntry(features, size, now, now)
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


def _channels(features: Features) -> tuple[int, ...]:
    return tuple(0 if x is None else x.shape[1] for x in (features.key, features.appearance))


def _to_bytes(features: Features) -> bytes:
    """A safetensors file of the key, and of the appearance where the network has a target model."""
    tensors = {"key": features.key, "appearance": features.appearance}
    return save({name: x.cpu().contiguous() for name, x in tensors.items() if x is not None})


def _from_bytes(data: bytes, device: torch.device) -> Features | None:
    """The features again; None where the bytes are not what `_to_bytes` gives."""
    try:
        tensors = load(data)
    except SafetensorError:
        return None
    key, appearance = tensors.get("key"), tensors.get("appearance")
    if key is None or key.dtype != torch.float16 or key.ndim != 4:
        return None
    if appearance is not None and (
        appearance.dtype != torch.float32
        or appearance.shape[:1] + appearance.shape[2:] != key.shape[:1] + key.shape[2:]
    ):
        return None
    if not all(bool(x.isfinite().all()) for x in (key, appearance) if x is not None):
        return None
    return Features(
        key.new_empty(0).to(device), (), key.to(device), None if appearance is None else appearance.to(device)
    )
