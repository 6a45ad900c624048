"""How clips look: light and colour that change over an object and over time, and what a camera adds.

Without the first a pasted object looks the same for ever, and a network learns to trust the memory of its looks alone;
then a part that turns away and shows another side is dropped. With it the network must also follow the mask it carried.
The camera adds blur, noise and compression.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from training.synthesis.trajectories import smooth, uniform

GRID = 4  # control points a side
BLUR_RADIUS = 4  # pixels; the longest streak of a moving object is twice that


def drift(pictures: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Multiply each layer by a smooth field that starts at 1 and wanders.

    Args:
        pictures: (L, T, 3, S, S) float32 in [0, 1].
        strength: largest standard deviation of the field's logarithm in the last frame; every layer draws its own.
        rng: random numbers, on the CPU.

    Returns:
        The same shape, in [0, 1].
    """
    layers, frames, _, height, width = pictures.shape
    if strength <= 0 or frames < 2:
        return pictures
    own = torch.rand(layers, 1, 1, generator=rng) * strength / (frames - 1)
    shared = smooth(rng, layers, frames, own, GRID * GRID)[:, :, None]  # light
    colour = smooth(rng, layers, frames, own * 0.5, 3 * GRID * GRID).reshape(layers, frames, 3, -1)
    field = (shared + colour).reshape(layers * frames, 3, GRID, GRID).to(pictures.device)
    coarse = (max(height // 8, GRID), max(width // 8, GRID))  # the field is smooth: few points are bent, all are filled
    field = F.interpolate(field, size=coarse, mode="bicubic", align_corners=True).clamp_(-1.2, 1.2).exp_()
    field = F.interpolate(field, size=(height, width), mode="bilinear", align_corners=True)
    return field.reshape(pictures.shape).mul_(pictures).clamp_(0, 1)


def turn(pictures: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Replace the surface of objects bit by bit, as when they turn and show another side.

    Args:
        pictures: (L, T, 3, H, W) float32 in [0, 1].
        others: the same shape, what comes into sight.
        rng: random numbers, on the CPU.

    Returns:
        (L, T, 3, H, W): `pictures` in the first frame; up to all of `others` in the last, the new part growing from
        one side or from spots.
    """
    layers, frames, _, height, width = pictures.shape
    late = torch.rand(layers, 1, GRID, GRID, generator=rng)
    late = F.interpolate(late, size=(height, width), mode="bicubic", align_corners=True)[:, None].to(pictures.device)
    reached = torch.linspace(0, 1, frames) * (0.3 + 0.9 * torch.rand(layers, 1, generator=rng))
    share = ((reached.to(pictures.device)[:, :, None, None, None] - late) * 6).clamp_(0, 1)
    share[:, 0] = 0
    return torch.lerp(pictures, others, share)


def shade(alpha: Tensor, size: Tensor, rng: torch.Generator) -> Tensor:
    """How dark the shadows of objects make what lies below them; they lie beside the objects and move with them.

    Without such shadows a network takes the darkness under a car, which moves as the car does, for a part of it.

    Args:
        alpha: (L, T, H, W) float32 in [0, 1]; sides are multiples of 4.
        size: (L,) of the objects, pixels.
        rng: random numbers, on the CPU; each layer has its own sun.

    Returns:
        The same shape, factors in (0, 1]: 1 where there is no shadow.
    """
    layers, frames, height, width = alpha.shape
    small = F.avg_pool2d(alpha, 4)
    for _ in range(1 + int(torch.randint(3, (1,), generator=rng))):
        small = soften(small)
    tall = uniform(rng, layers, low=-0.8, high=1.0)  # below 0 it falls towards the camera
    tall = torch.where(tall < 0, -1.0, 1.0) * tall.abs().clamp_min(0.15)
    slant = uniform(rng, layers, low=-0.6, high=0.6)
    aside, below = (uniform(rng, layers, low=low, high=0.2) * 2 * size for low in (-0.2, -0.02))
    darkness = uniform(rng, layers, low=0.3, high=0.85)
    rows = torch.linspace(-1, 1, small.shape[-2]).to(small)
    foot = torch.where(small.amax(3) > 0.3, rows, -1.0).amax(2)  # (L, T), in [-1, 1]: there object and shadow meet
    theta = small.new_zeros(layers, frames, 2, 3)
    theta[..., 0, 0] = 1
    theta[..., 0, 1] = slant.to(small)[:, None]
    theta[..., 0, 2] = -(aside / width).to(small)[:, None] - theta[..., 0, 1] * foot
    theta[..., 1, 1] = 1 / tall.to(small)[:, None]
    theta[..., 1, 2] = foot - theta[..., 1, 1] * (foot + (below / height).to(small)[:, None])
    flat = small.reshape(layers * frames, 1, *small.shape[2:])
    grid = F.affine_grid(theta.reshape(-1, 2, 3), list(flat.shape), align_corners=False)
    cast = F.grid_sample(flat, grid, padding_mode="zeros", align_corners=False)
    cast = F.interpolate(cast, size=(height, width), mode="bilinear", align_corners=False)
    return 1 - cast.reshape(alpha.shape) * darkness.to(alpha)[:, None, None, None]


def photograph(frames: Tensor, rng: torch.Generator) -> Tensor:
    """Change frames as a camera would; masks stay true.

    Args:
        frames: (B, T, 3, H, W) float32 in [0, 1]; sides are multiples of 8.
        rng: CPU generator.

    Returns:
        The same shape and range.
    """
    batch, count, _, height, width = frames.shape
    cast, patch = _light(rng, batch, count, height, width)
    offset = (0.05 * torch.randn(batch, 1, generator=rng)).expand(batch, count)
    flat = frames.flatten(0, 1) * _enlarge(patch.to(frames.device), height, width)
    flat.mul_(cast.to(flat.device)).add_(_per_frame(offset, flat))
    _blur_some(rng, flat, batch)
    seed = int(torch.randint(2**31 - 1, (1,), generator=rng))
    noise = torch.randn(flat.shape, generator=torch.Generator(flat.device).manual_seed(seed), device=flat.device)
    strength = (0.02 * uniform(rng, batch, 1)).expand(batch, count)
    flat.add_(noise.mul_(_per_frame(strength, flat))).clamp_(0, 1)
    return compress(flat, uniform(rng, batch * count)).clamp_(0, 1).reshape(frames.shape)


def soften(images: Tensor) -> Tensor:
    """(M, C, H, W) averaged over 3x3 pixels."""
    x = F.pad(images, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]) / 9  # several times faster than pooling on a CPU


def streak(layers: Tensor, motion: Tensor) -> Tensor:
    """Blur of objects that move while the shutter is open.

    Args:
        layers: (M, C, H, W) float32, colours multiplied by alpha, and alpha.
        motion: (M, 2) x and y pixels during the exposure; cut to what `BLUR_RADIUS` holds.
    """
    length = motion.norm(dim=1).clamp_max(2 * BLUR_RADIUS)[:, None, None]
    direction = F.normalize(motion, dim=1)[:, None, None]
    axis = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1).float()
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)  # (k, k, 2)
    along = (cells * direction).sum(-1).clamp(-length / 2, length / 2)
    kernels = (1 - (cells - along[..., None] * direction).norm(dim=-1)).clamp_min(0)
    kernels = kernels / kernels.sum((1, 2), keepdim=True)
    channels = layers.shape[1]
    weight = kernels.repeat_interleave(channels, 0)[:, None].to(layers.device)
    blurred = F.conv2d(layers.flatten(0, 1)[None], weight, padding=BLUR_RADIUS, groups=len(weight))
    return blurred.reshape(layers.shape)


def compress(images: Tensor, strength: Tensor) -> Tensor:
    """Noise of JPEG: 8x8 cosine transform, coefficients rounded the more the higher their frequency.

    Args:
        images: (M, C, H, W) float32 in [0, 1]; sides are multiples of 8.
        strength: (M,) from 0 (nearly none) to 1 (clearly visible blocks).
    """
    count, channels, height, width = images.shape
    k = torch.arange(8, device=images.device).float()
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * math.sqrt(2 / 8)
    basis[0] /= math.sqrt(2)
    waves = torch.einsum("ui,vj->uvij", basis, basis).reshape(64, 64)
    step = (1 + k[:, None] + k[None]).reshape(64) * 0.004
    step = (0.3 + 2.5 * strength.to(images.device))[:, None, None] * step  # (M, 1, 64)
    blocks = images.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coefficients = blocks.reshape(count, -1, 64) @ waves.T
    restored = (coefficients.div_(step).round_().mul_(step) @ waves).reshape(blocks.shape)
    return restored.transpose(3, 4).reshape(images.shape)


def _light(rng: torch.Generator, batch: int, count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Factors: a colour cast that drifts, (B * T, 3, 1, 1), and soft light and shade that moves, (B * T, 1, h, w)."""
    cast = 1 + 0.075 * torch.randn(batch, 1, 3, generator=rng) + smooth(rng, batch, count, 0.02, 3)
    knots = 1 + 0.08 * torch.randn(batch, 1, 9, generator=rng) + smooth(rng, batch, count, 0.02, 9)
    coarse = (max(height // 16, 1), max(width // 16, 1))
    patch = F.interpolate(knots.reshape(-1, 1, 3, 3), size=coarse, mode="bicubic", align_corners=True)
    return cast.reshape(-1, 3, 1, 1), patch


def _enlarge(patch: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(patch, size=(height, width), mode="bilinear", align_corners=False)


def _blur_some(rng: torch.Generator, flat: Tensor, batch: int) -> None:
    """Soften half of the clips in place, (B * T, 3, H, W), each by its own amount that changes from frame to frame."""
    chosen = uniform(rng, batch, 1) < 0.5
    share = uniform(rng, batch, 1) * chosen * uniform(rng, batch, len(flat) // batch, low=0.5)
    rows = share.reshape(-1).nonzero()[:, 0]
    if len(rows):
        sharp = flat[rows.to(flat.device)]
        flat[rows.to(flat.device)] = torch.lerp(sharp, soften(sharp), _per_frame(share.reshape(-1)[rows], flat))


def _per_frame(values: Tensor, like: Tensor) -> Tensor:
    """(B, T) or (B * T,) -> (B * T, 1, 1, 1) on the device of `like`."""
    return values.reshape(-1, 1, 1, 1).to(like.device)
