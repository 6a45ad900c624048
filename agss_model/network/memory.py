"""Reading labels from frames with masks by attention: the memory of `lite` and of label propagation.

Similarities are cosines, so every reference weighs the same whatever its contrast, and one temperature fits all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agss_model.network.base import Reference


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
    similarity = torch.cat([_cosine(query, r, None if windows is None else windows[i])
                            for i, r in enumerate(references)], 2)  # fmt: skip
    held = torch.cat([_fractions(r.value).reshape(batch, objects * channels, -1) for r in references], 2)
    counts = [r.key.shape[-2] * r.key.shape[-1] for r in references]
    if len(references) > 1:  # one indicator a reference, so that the weight of each comes out of the same product
        which = torch.repeat_interleave(torch.eye(len(references), device=query.device), torch.tensor(counts), 1)
        held = torch.cat([held, which.expand(batch, -1, -1)], 1)
    match, averaged = _average(similarity / temperature, held, top_k)
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


def _cosine(query: Tensor, reference: Reference, window: Tensor | None) -> Tensor:
    similarity = query.flatten(2).float().transpose(1, 2) @ reference.key.flatten(2).float()  # (B, h*w, M)
    return similarity if window is None else similarity.masked_fill(~window, -1e4)


def _average(scores: Tensor, held: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """(B, Q, M) scores and (B, C, M) values -> (B, Q) best score and (B, C, Q) weighted values."""
    if not top_k or top_k >= scores.shape[2]:
        return scores.amax(2), held @ torch.softmax(scores, 2).transpose(1, 2)
    best, index = scores.topk(top_k, 2)
    weight = torch.zeros_like(scores).scatter_(2, index, torch.softmax(best, 2))
    return best[..., 0], held @ weight.transpose(1, 2)
