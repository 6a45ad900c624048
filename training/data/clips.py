"""What every source of training data yields: a batch of short clips with masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """How many clips of which size.

    Attributes:
        batch: clips.
        frames: frames of a clip.
        height: pixels, a multiple of 16 (`lite`) or 32 (`paper`).
        width: likewise.
    """

    batch: int
    frames: int
    height: int
    width: int

    @property
    def shorter(self) -> int:
        """The shorter side, the unit of lengths in a frame."""
        return min(self.height, self.width)


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    Attributes:
        frames: (B, T, 3, H, W) float32 in [0, 1], RGB.
        masks: (B, T, N, H, W) float32, 0 or 1; at most one object at a pixel.
        entry: (B, N) int64, first frame in which the object is present; T where it never is or is not tracked.
        reference: (B,) int64, the frame that guides the others; None for the first.
        flow: (B, T - 1, 2, h, w) float32, backward flow of frame t at t - 1, in pixels of the masks that the network
            carries; None where it is computed during the step.
        known: (B, T, N) bool, whether it is known where the object is; None where everything is known. Without that
            there is no loss, and where an object is not known it counts as background for the others.
    """

    frames: Tensor
    masks: Tensor
    entry: Tensor
    reference: Tensor | None = None
    flow: Tensor | None = None
    known: Tensor | None = None

    def to(self, device: torch.device | str) -> Clips:
        """The same clips on a device."""
        moved = {name: value.to(device) for name, value in self.tensors().items()}
        return replace(self, **moved)

    def tensors(self) -> dict[str, Tensor]:
        """What there is, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


class ClipSource(Protocol):
    """Where clips come from."""

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """Clips of a shape; the same seed gives the same clips."""
        ...


def first_seen(masks: Tensor, minimum: float) -> Tensor:
    """The first frame in which each object covers enough of the picture.

    Args:
        masks: (B, T, N, H, W) float in [0, 1].
        minimum: share of the picture.

    Returns:
        (B, N) int64 on the CPU; T where there is none.
    """
    present = masks.mean((-2, -1)).cpu() >= minimum
    return torch.where(present.any(1), present.int().argmax(1), masks.shape[1])


def pack(masks: Tensor, entry: Tensor) -> tuple[Tensor, Tensor]:
    """Tracked objects first, and no more places than the fullest clip of the batch needs, but at least one.

    Args:
        masks: (B, T, N, H, W).
        entry: (B, N) on the CPU.
    """
    untracked = entry == masks.shape[1]
    most = max(int((~untracked).sum(1).max()), 1)
    order = torch.argsort(untracked.int(), dim=1, stable=True)[:, :most]
    rows = torch.arange(len(entry))[:, None]
    packed = masks.transpose(1, 2)[rows.to(masks.device), order.to(masks.device)].transpose(1, 2)
    return packed, entry[rows, order]


def join(parts: Sequence[Clips]) -> Clips:
    """One batch from clips with their own numbers of objects; without flow, and what is optional in all or in none."""
    most = max(part.masks.shape[2] for part in parts)
    frames = parts[0].frames.shape[1]
    masks, entries, told = [], [], []
    for part in parts:
        missing = most - part.masks.shape[2]
        empty = part.masks[:, :, :1].expand(-1, -1, missing, -1, -1) * 0
        masks.append(torch.cat([part.masks, empty], 2))
        entries.append(torch.nn.functional.pad(part.entry, (0, missing), value=frames))
        if part.known is not None:
            told.append(torch.nn.functional.pad(part.known, (0, missing)))
    references = [part.reference for part in parts if part.reference is not None]
    reference = torch.cat(references) if references else None
    known = torch.cat(told) if told else None
    frames_of_all = torch.cat([part.frames for part in parts])
    return Clips(frames_of_all, torch.cat(masks), torch.cat(entries), reference, known=known)
