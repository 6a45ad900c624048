"""Synthetic clips with exact masks, from photographs: batched tensor operations, the same on CPU and GPU.

A clip is one still as moving background, whose own objects may be tracked, and objects cut out of other stills that
move over it on smooth paths, deform, overlap, leave and come in. Random numbers come from one CPU generator seeded by
the caller, so a step of the training is a function of its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from agss_model.errors import ConfigError
from training.data.clips import Clips, ClipShape, ClipSource, first_seen, pack
from training.data.stills import Instance, StillPool
from training.synthesis.appearance import drift, photograph, shade, soften, streak, turn
from training.synthesis.trajectories import (
    Carrier,
    Origin,
    Path,
    draw_path,
    excursion,
    log_uniform,
    ride,
    sample,
    sample_grid,
    uniform,
)

HALF = 0.5 + 1e-4  # above it an object owns a pixel; two cannot, whatever the rounding

VISIBLE_STREAK = 1.5  # pixels

MOST_OWN = 6  # objects of a real clip that are tracked beside the pasted ones


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How clips look; lengths are fractions of the frame's shorter side unless said otherwise.

    Attributes:
        own: objects of the background still that may be tracked, at most.
        pasted: objects pasted over it, at most.
        speed: largest mean displacement of an object from frame to frame.
        camera: the same for the background.
        deform: strength of the non-rigid deformation, in object sizes over the whole clip.
        drift: how much light and colour change over an object from the first frame to the last, in logarithm.
        turning: probability that a pasted object shows another surface in the course of the clip.
        twin: probability that a pasted object is a second copy of another one (a look-alike).
        carried: probability that a pasted object is fixed to the one before it, like a bag to a person.
        away: probability that a pasted object comes in, leaves, or leaves and returns.
        blurred: probability that a pasted object is blurred by its motion.
        shadowed: probability that a pasted object casts a shadow, which moves with it and is no part of it.
        untracked: probability that a pasted object is not tracked (a distractor or occluder).
        minimum: visible share of the frame from which on an object counts as present.
        smallest: size of a pasted object in the first frame, the root of its area.
        largest: likewise.
    """

    own: int = 2
    pasted: int = 4
    speed: float = 0.10
    camera: float = 0.05
    deform: float = 0.07
    drift: float = 0.4
    turning: float = 0.45
    twin: float = 0.35
    carried: float = 0.3
    away: float = 0.12
    blurred: float = 0.3
    shadowed: float = 0.0
    untracked: float = 0.2
    minimum: float = 0.004
    smallest: float = 0.10
    largest: float = 0.55

    def __post_init__(self) -> None:
        if min(self.own, self.pasted) < 0 or self.own + self.pasted < 1:
            raise ConfigError(f"own = {self.own} and pasted = {self.pasted}: clips need objects; give at least one.")


class StillClips:
    """Clips made of a pool of stills; a `ClipSource`."""

    def __init__(self, pool: StillPool, config: SynthesisConfig) -> None:
        self.pool, self.config = pool, config

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """See `synthesise`."""
        return synthesise(self.pool, self.config, shape, seed, device)


class OverlaidClips:
    """Real clips with objects of stills pasted over them: real motion, and several objects; a `ClipSource`."""

    def __init__(self, pool: StillPool, config: SynthesisConfig, videos: ClipSource) -> None:
        self.pool, self.config, self.videos = pool, config, videos

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """See `ClipSource`."""
        real = self.videos.sample(shape, seed, device)
        own = min(real.masks.shape[2], MOST_OWN)
        config = replace(self.config, own=own)
        studio = _Studio(self.pool, config, shape, torch.Generator().manual_seed(seed), device)
        cuts = [_choose_cuts(studio) for _ in range(shape.batch)]
        frames, masks = _paste(studio, cuts, real.frames, real.masks[:, :, :own])
        masks, entry = pack(masks, _entry(studio, masks))
        return Clips(frames, masks, entry.to(device))


@dataclass
class _Studio:
    """What all steps of making one batch share."""

    pool: StillPool
    config: SynthesisConfig
    shape: ClipShape
    rng: torch.Generator
    device: str

    def pick(self, count: int) -> int:
        return int(torch.randint(count, (1,), generator=self.rng))

    def chance(self, probability: float) -> bool:
        return float(torch.rand(1, generator=self.rng)) < probability

    def pictures(self, stills: list[int]) -> Tensor:
        """(L, 3, side, side) float32 in [0, 1]."""
        return self.pool.images[stills].to(self.device).float() / 255


def synthesise(pool: StillPool, config: SynthesisConfig, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
    """Make a batch of clips.

    Args:
        pool: where the pictures come from; may be on the device already.
        config: how the clips look.
        shape: number and size of the clips; sides are multiples of 8.
        seed: the same seed gives the same clips on the same kind of device.
        device: where the pictures are made.
    """
    studio = _Studio(pool, config, shape, torch.Generator().manual_seed(seed), device)
    bases = [studio.pick(len(pool.names)) for _ in range(shape.batch)]
    cuts = [_choose_cuts(studio) for _ in range(shape.batch)]
    frames, own = _background(studio, bases)
    frames, masks = _paste(studio, cuts, frames, own)
    masks, entry = pack(masks, _entry(studio, masks))
    return Clips(photograph(frames, studio.rng), masks, entry.to(device))


def _choose_cuts(studio: _Studio) -> list[Instance]:
    """The pasted objects of one clip, far to near; a look-alike follows its original."""
    instances, chosen = studio.pool.instances, list[Instance]()
    for position in range(studio.pick(studio.config.pasted) + 1 if studio.config.pasted and instances else 0):
        twin = position > 0 and studio.chance(studio.config.twin)
        chosen.append(chosen[-1] if twin else instances[studio.pick(len(instances))])
    return chosen


def _background(studio: _Studio, bases: list[int]) -> tuple[Tensor, Tensor]:
    """(B, T, 3, H, W) frames of the moving background and (B, T, own, H, W) soft masks of its own objects."""
    pool, shape, rng, own = studio.pool, studio.shape, studio.rng, studio.config.own
    batch, side = len(bases), pool.size
    zoom = max(shape.height, shape.width) / side * log_uniform(rng, batch, 0.9, 1.8)
    start = torch.tensor([shape.width, shape.height]) / 2
    path = draw_path(rng, shape, start.expand(batch, 2), zoom, studio.config.camera)
    focus = side / 2 + uniform(rng, batch, 2, low=-0.12, high=0.12) * side
    masks = torch.zeros(batch, own, side, side, device=studio.device)
    for row, still in enumerate(bases):
        mine = pool.by_still.get(still, [])
        order = torch.randperm(len(mine), generator=rng)[:own].tolist()
        chosen = [pool.instances[mine[i]] for i in order]
        if chosen:
            masks[row, : len(chosen)] = cut_out(pool, chosen, mirrored=True).to(studio.device)
            left, top, right, bottom = chosen[0].box  # look towards the first object, else it is often out of sight
            focus[row] = 0.5 * focus[row] + 0.25 * torch.tensor([left + right, top + bottom])
    origin = Origin(focus, torch.full((batch,), side / 2.0), side)
    grid = sample_grid(rng, shape, path, origin, studio.config.deform, studio.device)
    sampled = sample(torch.cat([studio.pictures(bases), masks], 1), grid, "reflection")
    return drift(sampled[:, :, :3], studio.config.drift, rng), sampled[:, :, 3:]


def cut_out(pool: StillPool, instances: Sequence[Instance], *, mirrored: bool = False) -> Tensor:
    """(L, side, side) float32 masks of objects, with their mirror images in the padding where wanted."""
    values = pool.masks[[instance.still for instance in instances]]
    most = max(len(instance.ids) for instance in instances)
    ids = torch.tensor([(*i.ids, *(most - len(i.ids)) * i.ids[:1]) for i in instances], device=values.device)
    inside = torch.zeros_like(values, dtype=torch.bool)
    for column in ids.unbind(1):
        inside |= values == column[:, None, None]
    if not mirrored:
        sizes = torch.tensor([pool.sizes[instance.still] for instance in instances], device=values.device)
        axis = torch.arange(pool.size, device=values.device)
        inside &= (axis < sizes[:, :1])[:, None, :] & (axis < sizes[:, 1:])[:, :, None]
    return inside.float()


def _paste(studio: _Studio, cuts: list[list[Instance]], frames: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Lay the cut-outs over the background; masks become hard and exclusive at the end."""
    config, batch = studio.config, len(cuts)
    frames = frames.contiguous()
    masks = own.new_zeros(batch, own.shape[1], config.own + config.pasted, *own.shape[-2:])
    masks[:, :, : config.own] = own
    carriers = dict[int, Carrier]()
    for slot in range(config.pasted):
        rows = [row for row in range(batch) if slot < len(cuts[row])]
        if not rows:
            continue
        carried = [carriers.get(row) if studio.chance(config.carried) else None for row in rows]
        layer, paths = _moving_cut(studio, [cuts[row][slot] for row in rows], carried)
        carriers.update(zip(rows, paths, strict=True))
        frames[rows] = _shadowed(studio, frames[rows], layer[:, :, 3], paths)
        behind = 1 - layer[:, :, 3:]
        frames[rows] = frames[rows] * behind + layer[:, :, :3]
        masks[rows] = masks[rows] * behind
        masks[rows, :, config.own + slot] = layer[:, :, 3]
    return frames, (masks > HALF).float()


def _shadowed(studio: _Studio, below: Tensor, alpha: Tensor, casting: list[Carrier]) -> Tensor:
    """What is below objects (L, T, 3, H, W), with the shadows that some of these cast on it."""
    if not studio.config.shadowed:
        return below
    cast = shade(alpha, torch.tensor([one.size for one in casting]), studio.rng)
    bright = (uniform(studio.rng, len(alpha)) >= studio.config.shadowed).to(alpha.device)
    return below * torch.where(bright[:, None, None, None], 1.0, cast)[:, :, None]


def _moving_cut(studio: _Studio, cuts: list[Instance], carriers: list[Carrier | None]) -> tuple[Tensor, list[Carrier]]:
    """(L, T, 4, H, W) objects on their way: colours multiplied by alpha, and soft alpha; and what can carry others."""
    pool, shape, config, rng = studio.pool, studio.shape, studio.config, studio.rng
    layers = len(cuts)
    boxes = torch.tensor([cut.box for cut in cuts]).float()
    origin = Origin((boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(1), pool.size)
    area = torch.tensor([float(cut.area) for cut in cuts])
    wanted = shape.shorter * log_uniform(rng, layers, config.smallest, config.largest)
    place = uniform(rng, layers, 2, low=0.02, high=0.98) * torch.tensor([shape.width, shape.height])
    path = draw_path(rng, shape, place, wanted / area.sqrt(), config.speed)
    path.centre.add_(excursion(rng, shape, layers, config.away))
    for row, carrier in enumerate(carriers):
        if carrier is not None:
            offset = uniform(rng, 2, low=-0.5, high=0.5) * carrier.size
            share = float(uniform(rng, 1, low=0.25, high=0.6))
            ride(path, row, carrier, offset, share * carrier.size / float(area[row]) ** 0.5)
    path.stretch[..., 0] *= torch.where(uniform(rng, layers) < 0.5, -1.0, 1.0)[:, None]  # mirrored
    grid = sample_grid(rng, shape, path, origin, config.deform, studio.device)
    tint = uniform(rng, layers, 3, 1, 1, low=0.8, high=1.2).to(studio.device)
    images = (studio.pictures([cut.still for cut in cuts]) * tint).clamp(0, 1)
    layer = sample(torch.cat([images, cut_out(pool, cuts)[:, None].to(studio.device)], 1), grid, "zeros").contiguous()
    alpha = layer[:, :, 3]
    alpha = torch.lerp(alpha, soften(alpha), uniform(rng, layers, 1, 1, 1).to(studio.device))
    colours = drift(_turn_some(studio, layer[:, :, :3], grid), config.drift, rng)
    layer = torch.cat([colours * alpha[:, :, None], alpha[:, :, None]], 2)
    return _blur_fast(studio, layer, path.centre), _carriers(path, area.sqrt())


def _carriers(path: Path, side: Tensor) -> list[Carrier]:
    """Each layer as something to be fixed to; `side` is (L,), the root of its area in its still."""
    alone = [
        Path(path.centre[r : r + 1], path.scale[r : r + 1], path.angle[r : r + 1], path.stretch[r : r + 1])
        for r in range(len(side))
    ]
    return [Carrier(one, float(one.scale[0, 0] * side[r])) for r, one in enumerate(alone)]


def _turn_some(studio: _Studio, colours: Tensor, grid: Tensor) -> Tensor:
    """Let some of the objects (L, T, 3, H, W) show another surface, out of any still, as if they turned."""
    rows = (uniform(studio.rng, len(colours)) < studio.config.turning).nonzero()[:, 0].tolist()
    if rows:
        stills = [studio.pick(len(studio.pool.names)) for _ in rows]
        others = sample(studio.pictures(stills), grid[rows], "reflection")
        colours = colours.contiguous()
        colours[rows] = turn(colours[rows], others, studio.rng)
    return colours


def _blur_fast(studio: _Studio, layer: Tensor, centre: Tensor) -> Tensor:
    """Streak some of the objects (L, T, 4, H, W) along the motion of their centres (L, T, 2), where it is visible."""
    layers, frames = centre.shape[:2]
    exposure = uniform(studio.rng, layers, 1, 1, low=0.1, high=0.6)
    chosen = uniform(studio.rng, layers, 1) < studio.config.blurred
    if frames < 2:
        return layer
    step = torch.cat([centre[:, 1:2] - centre[:, :1], centre[:, 1:] - centre[:, :-1]], 1)
    motion = (step * exposure).flatten(0, 1)
    rows = (chosen.expand(layers, frames).flatten() & (motion.norm(dim=1) > VISIBLE_STREAK)).nonzero()[:, 0]
    if len(rows):
        flat = layer.flatten(0, 1)
        flat[rows.to(flat.device)] = streak(flat[rows.to(flat.device)], motion[rows])
        layer = flat.reshape(layer.shape)
    return layer


def _entry(studio: _Studio, masks: Tensor) -> Tensor:
    """(B, N) first frame of each tracked object; every clip keeps at least one object where it shows any."""
    config, rng, frames = studio.config, studio.rng, masks.shape[1]
    first = first_seen(masks, config.minimum)
    dropped = uniform(rng, *first.shape) < config.untracked
    dropped[:, : config.own] = uniform(rng, len(first), config.own) < config.untracked / 2
    kept = first.masked_fill(dropped, frames)
    nothing = (kept > 0).all(1)  # to start from: track everything
    return torch.where(nothing[:, None], first, kept)
