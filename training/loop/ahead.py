"""Batches made in a thread while the GPU trains: on a stream of their own, or each look at them waits for a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from training.data.clips import Clips


class Stream(Protocol):
    """Where a batch is made."""

    def hand_over(self, clips: Clips) -> None:
        """Wait until the clips are made, and let the training use them."""


class _Here:
    """The stream of the training itself."""

    def hand_over(self, clips: Clips) -> None:
        """See `Stream`; nothing to do."""


class _Beside:
    """A stream of its own on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def hand_over(self, clips: Clips) -> None:
        """See `Stream`; memory that the training has freed may be written to only when its kernels have run."""
        self.stream.synchronize()
        for tensor in clips.tensors().values():
            if tensor.is_cuda:
                tensor.record_stream(torch.cuda.default_stream(self.device))


@contextmanager
def ahead_of(device: torch.device) -> Iterator[Stream]:
    """Work on tensors of a device without waiting for what it was told before, where it can do so."""
    if device.type != "cuda":
        yield _Here()
        return
    beside = _Beside(device)
    with torch.cuda.stream(beside.stream):
        yield beside
