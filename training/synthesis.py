"""Synthetic clips with exact masks, from photographs: batched tensor operations, the same on CPU and GPU.

A clip is one still as moving background, whose own objects may be tracked, and objects cut out of other stills that
move over it on smooth paths, deform, overlap, leave and come in. Random numbers come from one CPU generator seeded by
the caller, so a step of the training is a function of its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.datasets.stills import Instance, StillPool


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How clips look; lengths are fractions of the frame's side unless said otherwise.

    Attributes:
        size: side of the square frames, pixels.
        frames: frames of a clip.
        own: objects of the background still that may be tracked, at most.
        pasted: objects pasted over it, at most.
        speed: largest mean displacement of an object from frame to frame.
        camera: the same for the background.
        deform: strength of the non-rigid deformation, in object sizes over the whole clip.
        twin: probability that a pasted object is a second copy of another one (a look-alike).
        untracked: probability that a pasted object is not tracked (a distractor or occluder).
        minimum: visible share of the frame from which on an object counts as present.
    """

    size: int = 256
    frames: int = 3
    own: int = 2
    pasted: int = 3
    speed: float = 0.10
    camera: float = 0.05
    deform: float = 0.07
    twin: float = 0.25
    untracked: float = 0.2
    minimum: float = 0.004


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    Attributes:
        frames: (B, T, 3, S, S) float32 in [0, 1], RGB.
        masks: (B, T, N, S, S) float32, 0 or 1; at most one object at a pixel.
        entry: (B, N) int64, first frame in which the object is present; T where it never is or is not tracked.
    """

    frames: Tensor
    masks: Tensor
    entry: Tensor


@dataclass(frozen=True)
class _Path:
    """Placement of layers over time; every tensor is (L, T) or (L, T, 2)."""

    centre: Tensor
    scale: Tensor
    angle: Tensor
    stretch: Tensor


def synthesise(pool: StillPool, config: SynthesisConfig, batch: int, seed: int, device: str = "cpu") -> Clips:
    """Make a batch of clips.

    Args:
        pool: where the pictures come from.
        config: how the clips look.
        batch: B.
        seed: the same seed gives the same clips on the same device.
        device: where the pictures are made.
    """
    rng = torch.Generator().manual_seed(seed)
    bases = [_pick_base(pool, rng) for _ in range(batch)]
    cuts = _pick_cuts(pool, config, batch, rng)
    frames, own_masks = _background(pool, config, bases, rng, device)
    frames, masks = _paste(pool, config, cuts, frames, own_masks, rng, device)
    masks, entry = _pack(masks, _entry(config, masks, rng))
    return Clips(_photograph(frames, rng), masks, entry.to(device))


def _pack(masks: Tensor, entry: Tensor) -> tuple[Tensor, Tensor]:
    """Tracked objects first, and no more places than the fullest clip of the batch needs."""
    frames = masks.shape[1]
    most = max(int((entry < frames).sum(1).max()), 1)
    order = torch.argsort(entry == frames, dim=1, stable=True)[:, :most]
    rows = torch.arange(len(entry))[:, None]
    packed = masks.transpose(1, 2)[rows.to(masks.device), order.to(masks.device)].transpose(1, 2)
    return packed, entry[rows, order]


def _uniform(rng: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(*shape, generator=rng) * (high - low) + low


def _pick(rng: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (1,), generator=rng))


def _pick_base(pool: StillPool, rng: torch.Generator) -> int:
    return _pick(rng, len(pool.names))


def _pick_cuts(pool: StillPool, config: SynthesisConfig, batch: int, rng: torch.Generator) -> list[list[Instance]]:
    """For each clip its pasted objects, far to near; a look-alike follows its original."""
    cuts = []
    for _ in range(batch):
        count = _pick(rng, config.pasted) + 1 if config.pasted else 0
        chosen: list[Instance] = []
        for position in range(count):
            twin = position > 0 and float(_uniform(rng, 1)) < config.twin
            chosen.append(chosen[-1] if twin else pool.instances[_pick(rng, len(pool.instances))])
        cuts.append(chosen)
    return cuts


def _smooth(rng: torch.Generator, layers: int, frames: int, step: Tensor | float, channels: int) -> Tensor:
    """(L, T, C) smooth random walks from 0 with steps of about `step`: a steady part and a slow swing."""
    t = torch.arange(frames).float()[None, :, None]
    direction = torch.randn(layers, 1, channels, generator=rng)
    swing = torch.randn(layers, 1, channels, generator=rng)
    phase = _uniform(rng, layers, 1, channels, high=2 * math.pi)
    rate = _uniform(rng, layers, 1, channels, low=0.3, high=1.2)
    step = torch.as_tensor(step).reshape(-1, 1, 1)
    return step * (direction * t + swing * (torch.sin(phase + rate * t) - torch.sin(phase)))


def _path(
    config: SynthesisConfig, rng: torch.Generator, layers: int, start: Tensor, scale: Tensor, speed: float
) -> _Path:
    """Smooth motion from `start` (L, 2) pixels and `scale` (L,)."""
    frames = config.frames
    pace = speed * torch.exp(_uniform(rng, layers, low=math.log(0.05), high=0.0))
    centre = start[:, None] + _smooth(rng, layers, frames, pace * config.size * 0.7, 2)
    growth = _smooth(rng, layers, frames, pace * 0.6, 1)[..., 0].clamp(-0.7, 0.7)
    turn = _smooth(rng, layers, frames, pace * 1.5, 1)[..., 0]
    stretch = _smooth(rng, layers, frames, pace * 0.6, 2).clamp(-0.35, 0.35)
    return _Path(centre, scale[:, None] * torch.exp(growth), turn, torch.exp(stretch))


def _sample_grid(
    config: SynthesisConfig, rng: torch.Generator, path: _Path, source: Tensor, extent: Tensor, side: int, device: str
) -> Tensor:
    """Where each target pixel comes from.

    Args:
        config: how the clips look.
        rng: random numbers.
        path: placement in the target.
        source: (L, 2) centre in the still, pixels.
        extent: (L,) size in the still, pixels; the unit of the deformation.
        side: side of the stills, pixels.
        device: where to compute.

    Returns:
        (L, T, S, S, 2) float32 for `grid_sample` with align_corners=False.
    """
    layers, frames = path.scale.shape
    axis = torch.arange(config.size, device=device) + 0.5
    target = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)  # (S, S, 2) as x, y
    offset = target - path.centre[:, :, None, None].to(device)
    cos, sin = torch.cos(path.angle).to(device), torch.sin(path.angle).to(device)
    turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    local = torch.einsum("ltij,ltyxj->ltyxi", turn, offset)
    local = local / (path.scale[..., None] * path.stretch)[:, :, None, None].to(device)  # pixels of the still
    bend = _smooth(rng, layers, frames, config.deform / max(frames - 1, 1), 2 * 25).reshape(-1, 2, 5, 5).to(device)
    unit = extent[:, None, None, None, None].to(device)
    where = (local[:, :, 2::4, 2::4] / unit).flatten(0, 1).clamp(-1, 1)  # bending is smooth: a quarter will do
    bent = F.grid_sample(bend, where, mode="bicubic", padding_mode="border", align_corners=True)
    bent = F.interpolate(bent, size=local.shape[2:4], mode="bilinear", align_corners=False)
    pixel = local + bent.permute(0, 2, 3, 1).reshape(local.shape) * unit + source[:, None, None, None].to(device)
    return pixel / side * 2 - 1


def _sample(layers: Tensor, grid: Tensor, padding: str) -> Tensor:
    """(L, C, side, side) at (L, T, S, S, 2) -> (L, T, C, S, S); time is laid into the height, so nothing is copied."""
    count, frames, size = grid.shape[:3]
    sampled = F.grid_sample(layers, grid.flatten(1, 2), padding_mode=padding, align_corners=False)
    return sampled.reshape(count, -1, frames, size, size).transpose(1, 2)


def _background(
    pool: StillPool, config: SynthesisConfig, bases: list[int], rng: torch.Generator, device: str
) -> tuple[Tensor, Tensor]:
    """(B, T, 3, S, S) frames of the moving background and (B, T, own, S, S) soft masks of its own objects."""
    batch, side = len(bases), pool.size
    zoom = config.size / side * torch.exp(_uniform(rng, batch, low=math.log(0.9), high=math.log(1.8)))
    start = torch.full((batch, 2), config.size / 2.0)
    path = _path(config, rng, batch, start, zoom, config.camera)
    focus = side / 2 + _uniform(rng, batch, 2, low=-0.12, high=0.12) * side
    masks = torch.zeros(batch, max(config.own, 1), side, side)
    for row, still in enumerate(bases):
        for slot, index in enumerate(_own_objects(pool, still, config.own, rng)):
            instance = pool.instances[index]
            masks[row, slot] = _cut(pool, instance, mirrored=True)
            if slot == 0:  # look towards the first object, else it is often out of the picture
                left, top, right, bottom = instance.box
                middle = torch.tensor([(left + right) / 2, (top + bottom) / 2])
                focus[row] = 0.5 * focus[row] + 0.5 * middle
    extent = torch.full((batch,), side / 2.0)
    grid = _sample_grid(config, rng, path, focus, extent, side, device)
    layers = torch.cat([pool.images[bases].float() / 255, masks], 1).to(device)
    sampled = _sample(layers, grid, "reflection").contiguous()
    return sampled[:, :, :3], sampled[:, :, 3 : 3 + config.own]


def _own_objects(pool: StillPool, still: int, most: int, rng: torch.Generator) -> list[int]:
    mine = pool.by_still.get(still, [])
    order = torch.randperm(len(mine), generator=rng)[:most]
    return [mine[int(i)] for i in order]


def _cut(pool: StillPool, instance: Instance, *, mirrored: bool = False) -> Tensor:
    """(side, side) float32 mask of one object, with its mirror images in the padding where wanted."""
    mask = pool.masks[instance.still]
    inside = torch.zeros_like(mask, dtype=torch.bool)
    for value in instance.ids:
        inside |= mask == value
    if not mirrored:
        width, height = pool.extents[instance.still]
        inside[height:] = False
        inside[:, width:] = False
    return inside.float()


def _paste(
    pool: StillPool, config: SynthesisConfig, cuts: list[list[Instance]], frames: Tensor, own: Tensor,
    rng: torch.Generator, device: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Lay the cut-outs over the background; masks become hard and exclusive at the end."""
    batch = len(cuts)
    masks = torch.zeros(batch, config.frames, config.own + config.pasted, *frames.shape[-2:], device=device)
    masks[:, :, : config.own] = own
    for slot in range(config.pasted):
        rows = [b for b in range(batch) if slot < len(cuts[b])]
        if not rows:
            continue
        picture, alpha = _moving_cut(pool, config, [cuts[b][slot] for b in rows], rng, device)
        frames[rows] = frames[rows] * (1 - alpha) + picture * alpha
        masks[rows] = masks[rows] * (1 - alpha)
        masks[rows, :, config.own + slot] = alpha[:, :, 0]
    return frames, (masks > 0.5).float()


def _moving_cut(
    pool: StillPool, config: SynthesisConfig, cuts: list[Instance], rng: torch.Generator, device: str
) -> tuple[Tensor, Tensor]:
    """(L, T, 3, S, S) pictures and (L, T, 1, S, S) soft alpha of objects on their way."""
    layers, side = len(cuts), pool.size
    boxes = torch.tensor([c.box for c in cuts]).float()
    source = (boxes[:, :2] + boxes[:, 2:]) / 2
    extent = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    area = torch.tensor([float(c.area) for c in cuts])
    wanted = config.size * torch.exp(_uniform(rng, layers, low=math.log(0.10), high=math.log(0.55)))
    path = _path(
        config, rng, layers, _uniform(rng, layers, 2, low=0.02, high=0.98) * config.size,
        wanted / area.sqrt(), config.speed,
    )  # fmt: skip
    mirrored = torch.where(_uniform(rng, layers) < 0.5, -1.0, 1.0)
    path.stretch[..., 0] *= mirrored[:, None]
    grid = _sample_grid(config, rng, path, source, extent, side, device)
    images = pool.images[[c.still for c in cuts]].float() / 255
    images = (images * _uniform(rng, layers, 3, 1, 1, low=0.8, high=1.2)).clamp(0, 1)
    stacked = torch.cat([images, torch.stack([_cut(pool, c) for c in cuts])[:, None]], 1).to(device)
    sampled = _sample(stacked, grid, "zeros")
    alpha = sampled[:, :, 3]
    softened = F.avg_pool2d(F.pad(alpha, (1, 1, 1, 1), mode="replicate"), 3, 1)
    alpha = torch.lerp(alpha, softened, _uniform(rng, layers, 1, 1, 1).to(device))
    return sampled[:, :, :3], alpha[:, :, None]


def _entry(config: SynthesisConfig, masks: Tensor, rng: torch.Generator) -> Tensor:
    """(B, N) first frame of each tracked object; every clip keeps at least one object where it shows any."""
    present = masks.mean((-2, -1)).cpu() >= config.minimum  # (B, T, N)
    frames = present.shape[1]
    first = torch.where(present.any(1), present.int().argmax(1), frames)
    dropped = _uniform(rng, *first.shape) < config.untracked
    dropped[:, : config.own] = _uniform(rng, len(first), config.own) < 0.1
    kept = first.masked_fill(dropped, frames)
    empty = (kept > 0).all(1)  # nothing to start from: track everything
    return torch.where(empty[:, None], first, kept)


def _photograph(frames: Tensor, rng: torch.Generator) -> Tensor:
    """What a camera adds: light that changes, blur, noise, compression."""
    batch, count = frames.shape[:2]
    gain = 1 + 0.15 * torch.randn(batch, 1, 3, 1, 1, generator=rng) * 0.5
    drift = _smooth(rng, batch, count, 0.02, 3)[..., None, None]
    offset = 0.05 * torch.randn(batch, 1, 1, 1, 1, generator=rng)
    frames = frames * (gain + drift).to(frames.device) + offset.to(frames.device)
    flat = frames.flatten(0, 1)
    blurred = F.avg_pool2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = (_uniform(rng, batch, 1) * (_uniform(rng, batch, 1) < 0.5) * _uniform(rng, batch, count, low=0.5))
    flat = torch.lerp(flat, blurred, share.reshape(-1, 1, 1, 1).to(flat.device))
    seed = _pick(rng, 2**31 - 1)
    noise = torch.randn(flat.shape, generator=torch.Generator(flat.device).manual_seed(seed), device=flat.device)
    strength = 0.02 * _uniform(rng, batch, 1).expand(batch, count).reshape(-1, 1, 1, 1).to(flat.device)
    flat = compress((flat + noise * strength).clamp(0, 1), _uniform(rng, batch * count, low=0.0, high=1.0))
    return flat.clamp(0, 1).reshape(frames.shape)


def compress(images: Tensor, strength: Tensor) -> Tensor:
    """Noise of JPEG: 8x8 cosine transform, coefficients rounded the more the higher their frequency.

    Args:
        images: (M, C, H, W) float32 in [0, 1]; sides are multiples of 8.
        strength: (M,) from 0 (nearly none) to 1 (clearly visible blocks).
    """
    k = torch.arange(8, device=images.device).float()
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * math.sqrt(2 / 8)
    basis[0] /= math.sqrt(2)
    step = (1 + k[:, None] + k[None]) * 0.004
    step = step * (0.3 + 2.5 * strength.to(images.device))[:, None, None, None, None, None]
    waves = torch.einsum("ui,vj->uvij", basis, basis).reshape(64, 1, 8, 8)
    flat = images.reshape(-1, 1, *images.shape[-2:])
    step = (step.reshape(-1, 1, 64).expand(-1, images.shape[1], -1)).reshape(-1, 64, 1, 1)
    rounded = torch.round(F.conv2d(flat, waves, stride=8) / step) * step
    return F.conv_transpose2d(rounded, waves, stride=8).reshape(images.shape)
