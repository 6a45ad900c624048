"""Equations 1, 2, 4, 5 and 6: from single objects to one picture in which they compete.

Equation 3, attention times feature, is one product and stands where it is taken: in `lite` and in `paper`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-7


def union(masks: Tensor) -> Tensor:
    """Instance-agnostic mask: the maximum over the objects (equations 1 and 2).

    Args:
        masks: (B, N, ...) float in [0, 1].

    Returns:
        (B, 1, ...) float in [0, 1].
    """
    return masks.amax(dim=1, keepdim=True)


def normalise(foreground: Tensor) -> Tensor:
    """Probabilities after all objects and the background competed (equations 4 and 5).

    Probabilities are clamped to [1e-7, 1 - 1e-7] before the odds, as in the published code.

    Args:
        foreground: (B, N, H, W) float32 in [0, 1], each object predicted on its own.

    Returns:
        (B, N, H, W) float32 in (0, 1); objects only. Their sum is below 1, the rest is background.
    """
    background = 1 - union(foreground)
    every = torch.cat([background, foreground], 1).clamp(EPSILON, 1 - EPSILON)
    odds = every / (1 - every)
    return (odds / odds.sum(1, keepdim=True))[:, 1:]


def normalise_logits(logits: Tensor, valid: Tensor | None = None) -> Tensor:
    """`normalise` for sigmoid logits, without leaving log space: odds are exp(logit), the background's exp(-max).

    Args:
        logits: (B, N, H, W) float.
        valid: (B, N) bool, False for padding; padded objects get probability 0 and take none from others.

    Returns:
        (B, N, H, W) float in [0, 1].
    """
    bound = 16.118095  # logit of 1 - 1e-7: the clamp of `normalise`
    logits = logits.clamp(-bound, bound)
    if valid is not None:
        logits = logits.masked_fill(~valid[:, :, None, None], float("-inf"))
    background = -logits.amax(1, keepdim=True)
    if valid is not None:
        background = background.clamp(-bound, bound)  # no valid object at all: -(-inf)
    return torch.softmax(torch.cat([background, logits], 1), 1)[:, 1:]


def compete(foreground: Tensor, valid: Tensor | None, *, normalised: bool) -> Tensor:
    """Bring objects that were decoded on their own into one picture (equations 4 and 5).

    Args:
        foreground: (B, N, H, W) float32 in [0, 1].
        valid: (B, N) bool, False where there is no object: such places get 0 and take at most 1e-7; None where all are.
        normalised: False leaves the objects as they are.
    """
    if valid is None:
        return normalise(foreground) if normalised else foreground
    place = valid[:, :, None, None].to(foreground.dtype)
    return (normalise(foreground * place) if normalised else foreground) * place


def compete_logits(logits: Tensor, valid: Tensor | None = None, *, normalised: bool) -> Tensor:
    """`compete` for logits, (B, N, H, W) float of any precision; computed in float32."""
    logits = logits.float()
    if normalised:
        return normalise_logits(logits, valid)
    return logits.sigmoid() if valid is None else logits.sigmoid() * valid[:, :, None, None]


def labels(probabilities: Tensor) -> Tensor:
    """The strongest of background and objects at every pixel (equation 6).

    Args:
        probabilities: (B, N, H, W) float in [0, 1], normalised.

    Returns:
        (B, H, W) int64, 0 for background and k + 1 for object k.
    """
    return with_background(probabilities).argmax(1)


def with_background(probabilities: Tensor) -> Tensor:
    """(B, N, H, W) normalised probabilities of objects -> (B, N + 1, H, W), the background's first."""
    return torch.cat([1 - probabilities.sum(1, keepdim=True), probabilities], 1)


def upsample(probabilities: Tensor, size: tuple[int, int], normalised: bool = True) -> Tensor:
    """Enlarge probabilities in log space, so that a boundary falls between the pixels where the odds say it does.

    With equation 4 the logarithms of background and objects are enlarged together and renormalised, which equals
    enlarging the logits before the normalisation but for the background's maximum.

    Args:
        probabilities: (B, N, h, w) float in [0, 1].
        size: (H, W) of the result.
        normalised: False where objects do not compete; each is then enlarged on its own.

    Returns:
        (B, N, H, W) float32 in [0, 1].
    """
    p = probabilities.float()
    if not normalised:
        return _bilinear(p.clamp(EPSILON, 1 - EPSILON).logit(), size).sigmoid()
    every = with_background(p).clamp_min(EPSILON)
    return torch.softmax(_bilinear(every.log(), size), 1)[:, 1:]


def _bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def enlarged_labels(probabilities: Tensor, size: tuple[int, int], normalised: bool = True) -> Tensor:
    """`labels(upsample(...))` for one frame, without enlarging every object's map.

    Between four neighbouring pixels of the small maps (a quad), every map is bilinear. Where all four belong to the
    same object, or to the background, the whole quad does, since its lead stays a lead under averaging. Only the other
    quads, along the borders, are enlarged, and only for the objects that beat the background at one of the four. The
    softmax is left out, since it keeps the order anyway.

    Args:
        probabilities: (N, h, w) float in [0, 1].
        size: (H, W) of the result.
        normalised: as for `upsample`.

    Returns:
        (H, W) int16, 0 for background and k + 1 for object k.
    """
    p = probabilities.float()
    # Where objects do not compete the background is 1 - max: an object shows where its own odds are above one.
    ground = 1 - p.sum(0) if normalised else p.new_full(p.shape[1:], 0.5)
    best, strongest = p.max(0)
    owner = torch.where(best > ground, strongest + 1, 0).to(torch.int16)
    rows, columns = _axis(owner.shape[0], size[0], owner.device), _axis(owner.shape[1], size[1], owner.device)
    labels = owner.index_select(1, columns.low).index_select(0, rows.low)
    mixed = _any_differs(owner).flatten().nonzero()[:, 0]
    if len(mixed):
        rivals = _any_of_four(p > ground).flatten(1).index_select(1, mixed)
        _label_mixed(labels, _Quads.of(rows, columns, mixed), p, ground, rivals, normalised)
    return labels


def _next(x: Tensor, dim: int) -> Tensor:
    """Each pixel's neighbour in rising direction; the last one's is itself."""
    length = x.shape[dim]
    return torch.cat([x.narrow(dim, 1, length - 1), x.narrow(dim, length - 1, 1)], dim)


def _any_differs(owner: Tensor) -> Tensor:
    """(h, w) -> (h, w) bool: whether the four pixels of the quad that begins there have several owners."""
    below = _next(owner, 0)
    return (owner != below) | (owner != _next(owner, 1)) | (owner != _next(below, 1))


def _any_of_four(x: Tensor) -> Tensor:
    """(N, h, w) bool -> (N, h, w) bool: whether any of the four pixels of the quad that begins there is True."""
    pair = x | _next(x, 1)
    return pair | _next(pair, 2)


class _Axis(NamedTuple):
    """How L pixels lie between l small ones, by the rule of bilinear enlarging without aligned corners.

    Attributes:
        low: (L,) int64, the small pixel at or before each.
        share: (L,) float, weight of the small pixel after it.
        first: (l,) int64, the first of the L pixels that has this one as `low`.
        sharing: (l,) int64, how many have.
        most: the largest of these numbers.
    """

    low: Tensor
    share: Tensor
    first: Tensor
    sharing: Tensor
    most: int


def _axis(small: int, large: int, device: torch.device) -> _Axis:
    scale = torch.tensor(small / large, dtype=torch.float32)
    place = ((torch.arange(large) + 0.5) * scale - 0.5).clamp_min(0)
    low = place.long().clamp_max(small - 1)
    count = torch.bincount(low, minlength=small)
    first = count.cumsum(0) - count
    share = place - low
    return _Axis(low.to(device), share.to(device), first.to(device), count.to(device), int(count.max()))


class _Quads(NamedTuple):
    """T quads and the pixels in them, filled up to the same number of rows and columns each.

    Attributes:
        corners: (T, 4) int64, places in the small map: upper left, upper right, lower left, lower right.
        down: (T, P, 1) float, the weight of the lower row.
        across: (T, 1, R) float, the weight of the right column.
        pixels: (T, P, R) int64, places in the large map; any where not `real`.
        real: (T, P, R) bool, False where a quad is only filled up.
    """

    corners: Tensor
    down: Tensor
    across: Tensor
    pixels: Tensor
    real: Tensor

    @classmethod
    def of(cls, rows: _Axis, columns: _Axis, which: Tensor) -> _Quads:
        """Quads by (T,) int64 places of their upper left corners in the small map."""
        height, width = len(rows.sharing), len(columns.sharing)
        y, x = which // width, which % width
        row, real_row = _pixels_behind(rows, y)
        column, real_column = _pixels_behind(columns, x)
        corner_y = torch.stack([y, (y + 1).clamp_max(height - 1)], 1)
        corner_x = torch.stack([x, (x + 1).clamp_max(width - 1)], 1)
        return cls(
            (corner_y[:, :, None] * width + corner_x[:, None, :]).flatten(1),
            rows.share[row][:, :, None],
            columns.share[column][:, None, :],
            row[:, :, None] * len(columns.low) + column[:, None, :],
            real_row[:, :, None] & real_column[:, None, :],
        )


def _pixels_behind(axis: _Axis, low: Tensor) -> tuple[Tensor, Tensor]:
    """(T, P) int64 pixels that lie behind small pixels (T,), and (T, P) bool, False for what is only filled up."""
    step = torch.arange(axis.most, device=low.device)
    pixel = axis.first[low][:, None] + step
    return pixel.clamp_max(len(axis.low) - 1), step < axis.sharing[low][:, None]


def _between(probabilities: Tensor, down: Tensor, across: Tensor, normalised: bool) -> Tensor:
    """(T, 4) of the corners -> (T, P, R) logarithms, or odds' logarithms, between them."""
    x = probabilities.clamp_min(EPSILON).log() if normalised else probabilities.clamp(EPSILON, 1 - EPSILON).logit()
    x = x.view(-1, 2, 2)
    rows = x[:, :, :1] + (x[:, :, 1:] - x[:, :, :1]) * across
    return rows[:, :1] + (rows[:, 1:] - rows[:, :1]) * down


def _label_mixed(labels: Tensor, quads: _Quads, p: Tensor, ground: Tensor, rivals: Tensor, normalised: bool) -> None:
    """Write the labels of mixed quads: the objects that may win a quad meet there in rounds, lowest number first.

    Args:
        labels: (H, W) int16, changed.
        quads: T mixed ones.
        p: (N, h, w) float of the objects.
        ground: (h, w) float of the background.
        rivals: (N, T) bool, who may win.
        normalised: as for `upsample`.
    """
    flat, size = p.flatten(), ground.numel()
    best = _between(ground.flatten()[quads.corners], quads.down, quads.across, normalised)
    owner = labels.new_zeros(best.shape)
    quad_of, object_of = rivals.t().nonzero(as_tuple=True)
    count = rivals.sum(0)
    turn = torch.arange(len(quad_of), device=p.device) - (count.cumsum(0) - count)[quad_of]
    for number in range(int(count.max())):
        now = turn == number
        which, quad = object_of[now], quad_of[now]
        corners = flat[which[:, None] * size + quads.corners[quad]]
        value = _between(corners, quads.down[quad], quads.across[quad], normalised)
        before = best[quad]
        wins = value > before
        best[quad] = torch.where(wins, value, before)
        owner[quad] = torch.where(wins, (which + 1).to(labels.dtype)[:, None, None], owner[quad])
    labels.view(-1)[quads.pixels[quads.real]] = owner[quads.real]
