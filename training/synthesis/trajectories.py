"""Smooth motion of layers: where each pixel of a frame comes from, as batched tensor operations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.clips import ClipShape

KNOTS = 5  # of the grid that bends a layer, per side


@dataclass(frozen=True)
class Path:
    """Placement of L layers over T frames, on the CPU.

    Attributes:
        centre: (L, T, 2) x and y in the frame, pixels.
        scale: (L, T) pixels of the frame for one of the still.
        angle: (L, T) radians.
        stretch: (L, T, 2) factors along the layer's own axes; a negative one mirrors.
    """

    centre: Tensor
    scale: Tensor
    angle: Tensor
    stretch: Tensor


@dataclass(frozen=True)
class Carrier:
    """A layer that others can be fixed to.

    Attributes:
        path: of this layer alone, L = 1.
        size: in the first frame, root of its area in pixels.
    """

    path: Path
    size: float


@dataclass(frozen=True)
class Origin:
    """Which part of its still each layer shows.

    Attributes:
        centre: (L, 2) x and y, pixels.
        unit: (L,) size, pixels; what the bending is measured in.
        side: of the square stills, pixels.
    """

    centre: Tensor
    unit: Tensor
    side: int


def uniform(rng: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Evenly distributed numbers."""
    return torch.rand(*shape, generator=rng) * (high - low) + low


def log_uniform(rng: torch.Generator, count: int, low: float, high: float) -> Tensor:
    """(count,) numbers whose logarithm is evenly distributed."""
    return torch.exp(uniform(rng, count, low=math.log(low), high=math.log(high)))


def smooth(rng: torch.Generator, layers: int, frames: int, step: Tensor | float, channels: int) -> Tensor:
    """(L, T, C) smooth random walks from 0 with steps of about `step`: a steady part and a slow swing."""
    t = torch.arange(frames).float()[None, :, None]
    direction = torch.randn(layers, 1, channels, generator=rng)
    swing = torch.randn(layers, 1, channels, generator=rng)
    phase = uniform(rng, layers, 1, channels, high=2 * math.pi)
    rate = uniform(rng, layers, 1, channels, low=0.3, high=1.2)
    step = torch.as_tensor(step).reshape(-1, 1, 1)
    return step * (direction * t + swing * (torch.sin(phase + rate * t) - torch.sin(phase)))


def draw_path(rng: torch.Generator, shape: ClipShape, start: Tensor, scale: Tensor, speed: float) -> Path:
    """Smooth motion.

    Args:
        rng: random numbers.
        shape: of the clips.
        start: (L, 2) centre in the first frame, pixels.
        scale: (L,) in the first frame.
        speed: largest mean displacement from frame to frame, as a share of the shorter side.
    """
    layers, frames = len(start), shape.frames
    pace = speed * log_uniform(rng, layers, 0.05, 1.0)
    centre = start[:, None] + smooth(rng, layers, frames, pace * shape.shorter * 0.7, 2)
    growth = smooth(rng, layers, frames, pace * 0.6, 1)[..., 0].clamp(-0.7, 0.7)
    turn = smooth(rng, layers, frames, pace * 1.5, 1)[..., 0]
    stretch = smooth(rng, layers, frames, pace * 0.6, 2).clamp(-0.35, 0.35)
    return Path(centre, scale[:, None] * torch.exp(growth), turn, torch.exp(stretch))


def ride(path: Path, layer: int, carrier: Carrier, offset: Tensor, scale: float) -> None:
    """Fix one layer of a path to a carrier, as what somebody wears or carries moves along.

    Args:
        path: changed in place.
        layer: which one.
        carrier: what it is fixed to.
        offset: (2,) from the carrier's centre in the first frame, pixels.
        scale: of the layer in the first frame.
    """
    growth = carrier.path.scale[0] / carrier.path.scale[0, 0]
    turned = carrier.path.angle[0] - carrier.path.angle[0, 0]
    cos, sin = torch.cos(turned), torch.sin(turned)
    moved = torch.stack([cos * offset[0] - sin * offset[1], sin * offset[0] + cos * offset[1]], -1)
    path.centre[layer] = carrier.path.centre[0] + moved * growth[:, None]
    path.scale[layer] = scale * growth
    path.angle[layer] = turned
    path.stretch[layer] = carrier.path.stretch[0].abs() * path.stretch[layer].sign()


def excursion(rng: torch.Generator, shape: ClipShape, layers: int, share: float) -> Tensor:
    """(L, T, 2) pixels that take a share of the layers out of the picture: they come in, leave, or leave and return."""
    progress = torch.arange(shape.frames) / max(shape.frames - 1, 1)
    out = torch.stack([1 - progress, progress, torch.sin(math.pi * progress)])  # (3, T), 1 is far outside
    kind = torch.randint(3, (layers,), generator=rng)
    leaving = uniform(rng, layers) < share
    angle = uniform(rng, layers, high=2 * math.pi)
    direction = torch.stack([torch.cos(angle) * shape.width, torch.sin(angle) * shape.height], -1)
    return 1.2 * (out[kind] * leaving[:, None])[..., None] * direction[:, None]


def sample_grid(
    rng: torch.Generator, shape: ClipShape, path: Path, origin: Origin, bending: float, device: str
) -> Tensor:
    """Where each pixel of the frames comes from.

    Args:
        rng: random numbers for the bending.
        shape: of the clips.
        path: placement in the frames.
        origin: the part of the stills that is placed.
        bending: strength of the non-rigid deformation, in sizes of the layer over the whole clip.
        device: where to compute.

    Returns:
        (L, T, H, W, 2) float32 for `grid_sample` with align_corners=False.
    """
    layers, frames = path.scale.shape
    x = torch.arange(shape.width, device=device) + 0.5
    y = torch.arange(shape.height, device=device) + 0.5
    target = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # (H, W, 2)
    cos, sin = torch.cos(path.angle), torch.sin(path.angle)
    turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    turn = turn / (path.scale[..., None] * path.stretch)[..., None]
    shift = (turn @ path.centre[..., None])[..., 0]
    local = target.reshape(-1, 2) @ turn.to(device).transpose(2, 3) - shift[:, :, None].to(device)
    local = local.reshape(layers, frames, shape.height, shape.width, 2)  # pixels of the still
    knots = smooth(rng, layers, frames, bending / max(frames - 1, 1), 2 * KNOTS**2)
    bend = knots.reshape(-1, 2, KNOTS, KNOTS).to(device)
    unit = origin.unit[:, None, None, None, None].to(device)
    where = (local[:, :, 2::4, 2::4] / unit).flatten(0, 1).clamp(-1, 1)  # bending is smooth: a quarter will do
    bent = F.grid_sample(bend, where, mode="bicubic", padding_mode="border", align_corners=True)
    bent = F.interpolate(bent, size=(shape.height, shape.width), mode="bilinear", align_corners=False)
    bent = bent.permute(0, 2, 3, 1).reshape(local.shape)
    pixel = local + bent * unit + origin.centre[:, None, None, None].to(device)
    return pixel / origin.side * 2 - 1


def sample(layers: Tensor, grid: Tensor, padding: str) -> Tensor:
    """(L, C, side, side) at (L, T, H, W, 2) -> (L, T, C, H, W); time is laid into the height, so nothing is copied."""
    count, frames, height, width = grid.shape[:4]
    sampled = F.grid_sample(layers, grid.flatten(1, 2), padding_mode=padding, align_corners=False)
    return sampled.reshape(count, -1, frames, height, width).transpose(1, 2)
