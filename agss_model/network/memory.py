"""Reading labels from frames with masks by attention: the memory of `lite` and of label propagation.

Similarities are cosines, so every reference weighs the same whatever its contrast, and one temperature fits all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agss_model.network.base import Reference

OUTSIDE = -1e4  # score outside of a window: no weight is left after the softmax
CHUNK = 256  # target cells compared at a time: what they are compared with then stays in the cache


@dataclass(frozen=True)
class Reading:
    """What the memory says about the target frame.

    Attributes:
        value: (B, N, V, h, w) average of what the matched cells hold, over the references that know the object.
        match: (B, 1, h, w) cosine of the best match, in [-1, 1].
    """

    value: Tensor
    match: Tensor


def inside_window(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """(h*w, h*w) bool: True where two cells are at most `radius` apart in both directions."""
    y = torch.arange(height, device=device)
    x = torch.arange(width, device=device)
    near_y = (y[:, None] - y[None, :]).abs() <= radius
    near_x = (x[:, None] - x[None, :]).abs() <= radius
    return (near_y[:, None, :, None] & near_x[None, :, None, :]).reshape(height * width, height * width)


def read(
    query: Tensor,
    references: Sequence[Reference],
    temperature: Tensor | float,
    *,
    windows: Sequence[Tensor | None] | None = None,
    top_k: int = 0,
) -> Reading:
    """Average the references' values by softmax(cosine / temperature) over all their cells.

    Args:
        query: (B, K, h, w) unit length along K.
        references: at least one; keys of unit length, the same N objects in the same order.
        temperature: divisor of the cosines, above 0.
        windows: for each reference None or an `inside_window` mask that limits where it may be matched.
        top_k: cells that take part for each target cell, 0 for all.
    """
    batch, _, height, width = query.shape
    objects, channels = references[0].value.shape[1:3]
    held = torch.cat([_fractions(r.value).reshape(batch, objects * channels, -1) for r in references], 2)
    if len(references) > 1:  # one indicator a reference, so that the weight of each comes out of the same product
        counts = torch.tensor([r.key.shape[-2] * r.key.shape[-1] for r in references])
        which = torch.repeat_interleave(torch.eye(len(references), device=query.device), counts.to(query.device), 1)
        held = torch.cat([held, which.expand(batch, -1, -1)], 1)
    keys = [r.key.flatten(2).float() for r in references]
    limits = windows if windows is not None else [None] * len(keys)
    cells = query.flatten(2).float().transpose(1, 2) / temperature  # (B, h*w, K); the products are then divided, too
    average = _average_best if top_k else _average_all
    match, averaged = average(cells, keys, limits, held, top_k)
    value = averaged[:, : objects * channels].reshape(batch, objects, channels, height, width)
    if len(references) > 1:
        weight = averaged[:, objects * channels :]  # (B, R, h*w)
        known = torch.stack([r.known for r in references], 2).to(weight.dtype)  # (B, N, R)
        share = (known @ weight).reshape(batch, objects, 1, height, width)
        value = value / share.clamp_min(1e-4)
    return Reading(value, (match * temperature).reshape(batch, 1, height, width))


def _fractions(value: Tensor) -> Tensor:
    """Values as float; bytes are 255ths."""
    return value.float() / 255 if value.dtype == torch.uint8 else value.float()


def _cosine(cells: Tensor, key: Tensor, window: Tensor | None) -> Tensor:
    """(B, Q, K) and (B, K, M) -> (B, Q, M)."""
    similarity = cells @ key
    return similarity if window is None else similarity.masked_fill(~window, OUTSIDE)


def _average_all(
    cells: Tensor,
    keys: Sequence[Tensor],
    windows: Sequence[Tensor | None],
    held: Tensor,
    top_k: int,
) -> tuple[Tensor, Tensor]:
    """As `_average_best`, with weights over every cell; `top_k` is not looked at."""
    matches, averages = [], []
    for start in range(0, cells.shape[1], CHUNK):
        stop = start + CHUNK
        scores = torch.cat(
            [_cosine(cells[:, start:stop], k, None if w is None else w[start:stop])
             for k, w in zip(keys, windows, strict=True)], 2,
        )  # fmt: skip
        matches.append(scores.amax(2))
        averages.append(held @ torch.softmax(scores, 2).transpose(1, 2))
    return torch.cat(matches, 1), torch.cat(averages, 2)


def _average_best(
    cells: Tensor,
    keys: Sequence[Tensor],
    windows: Sequence[Tensor | None],
    held: Tensor,
    top_k: int,
) -> tuple[Tensor, Tensor]:
    """Weights over the `top_k` best only, a chunk of target cells at a time, so that little memory is needed.

    Args:
        cells: (B, Q, K) target, divided by the temperature.
        keys: (B, K, M) of each reference.
        windows: (Q, M) bool of each reference, or None.
        held: (B, C, sum of M) values.
        top_k: how many take part.

    Returns:
        (B, Q) best score and (B, C, Q) weighted values.
    """
    matches, averages = [], []
    for start in range(0, cells.shape[1], CHUNK):
        part, found, places, offset = cells[:, start : start + CHUNK], [], [], 0
        for key, window in zip(keys, windows, strict=True):
            scores = _cosine(part, key, None if window is None else window[start : start + CHUNK])
            best, index = scores.topk(min(top_k, key.shape[2]), 2)
            found.append(best)
            places.append(index + offset)
            offset += key.shape[2]
        best, order = torch.cat(found, 2).topk(min(top_k, offset), 2)
        index = torch.cat(places, 2).gather(2, order)
        picked = held.gather(2, index.flatten(1)[:, None].expand(-1, held.shape[1], -1))
        picked = picked.reshape(*held.shape[:2], *index.shape[1:])
        averages.append((picked * torch.softmax(best, 2)[:, None]).sum(3))
        matches.append(best[..., 0])
    return torch.cat(matches, 1), torch.cat(averages, 2)
