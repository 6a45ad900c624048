"""Reading labels from frames with masks by attention: the memory of `lite` and of label propagation.

Similarities are cosines, so every reference weighs the same whatever its contrast, and one temperature fits all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from agss_model.network.base import Reference
from agss_model.network.readout import OUTSIDE, AttentionOutput, DenseValues, lay_out, readout

CHUNK = 256  # target cells compared at a time: what they are compared with then stays in the cache


@dataclass(frozen=True)
class Reading:
    """What the memory says about the target frame.

    Attributes:
        value: (B, N, V, h, w) average of what the matched cells hold, over the references that know the object.
        match: (B, 1, h, w) cosine of the best match, in [-1, 1], plus temperature times log weight of its reference.
    """

    value: Tensor
    match: Tensor


@lru_cache(maxsize=1)  # a clip asks for the same in every frame
def inside_window(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """(h*w, h*w) bool: True where two cells are at most `radius` apart in both directions. Not to be changed."""
    with torch.inference_mode(False):  # an inference tensor could not be used in training later
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
    cutoff: float = 0.0,
) -> Reading:
    """Average the references' values by softmax(cosine / temperature + log weight) over all their cells.

    Args:
        query: (B, K, h, w) unit length along K.
        references: at least one; keys of unit length, the same N objects in the same order.
        temperature: divisor of the cosines, above 0.
        windows: for each reference None or an `inside_window` mask that limits where it may be matched.
        top_k: cells that take part for each target cell, 0 for all.
        cutoff: cells take part whose weight is at least exp(-cutoff) of the best one's, 0 for all. Without it what many
            cells hold that hardly match outweighs the few that do, the more the longer the memory. Not with `top_k`.
    """
    limits = windows if windows is not None else [None] * len(references)
    if top_k:
        return _finish(query, references, temperature, _best(query, references, temperature, limits, top_k))
    return _finish(query, references, temperature, _all(query, references, temperature, limits, cutoff)[0])


def read_twice(
    query: Tensor,
    references: Sequence[Reference],
    previous: Reference,
    temperature: Tensor | float,
    window: Tensor,
    *,
    top_k: int = 0,
    cutoff: float = 0.0,
) -> tuple[Reading, Tensor]:
    """Read the references and the frame before together, and the frame before once more, alone and nearby.

    The same as `read` of all of them and `read` of `previous` within `window`; cells are compared once for both.

    Args:
        query: as for `read`.
        references: as for `read`.
        previous: the frame before the target.
        temperature: as for `read`.
        window: an `inside_window` mask for `previous` alone.
        top_k: as for `read`, of the references and `previous` together.
        cutoff: as for `read`, of all of them together; `previous` alone is read without.

    Returns:
        What all say, and (B, N, V, h, w), what `previous` says within the window.
    """
    everything = [*references, previous]
    if top_k:
        near = read(query, [previous], temperature, windows=[window]).value
        return read(query, everything, temperature, top_k=top_k), near
    found, nearby = _all(query, everything, temperature, [None] * len(everything), cutoff, window)
    nearby = nearby.reshape(*previous.value.shape[:3], *query.shape[2:])
    return _finish(query, everything, temperature, found), nearby


def _finish(
    query: Tensor, references: Sequence[Reference], temperature: Tensor | float, found: AttentionOutput
) -> Reading:
    """Average over the references that know an object only."""
    batch, _, height, width = query.shape
    value = found.value
    if len(references) > 1:
        known = torch.stack([r.known for r in references], 2).to(value.dtype)  # (B, N, R)
        value = value / (known @ found.weight).clamp_min(1e-4)[:, :, None]
    match = (found.match * temperature).reshape(batch, 1, height, width)
    return Reading(value.reshape(*value.shape[:3], height, width), match)


def _cells(query: Tensor, references: Sequence[Reference], temperature: Tensor | float) -> tuple[Tensor, list[Tensor]]:
    """(B, Q, K) target cells, divided by the temperature so that products with keys are, and (B, K, M) keys of each."""
    cells = query.flatten(2).float().transpose(1, 2) / temperature
    return cells, [r.key.flatten(2).float() for r in references]


def _all(
    query: Tensor,
    references: Sequence[Reference],
    temperature: Tensor | float,
    windows: Sequence[Tensor | None],
    cutoff: float,
    near: Tensor | None = None,
) -> tuple[AttentionOutput, Tensor]:
    """Weights over every cell; also (B, N, V, Q) of the last reference alone within `near`, empty without."""
    cells, keys = _cells(query, references, temperature)
    counts, together = [key.shape[2] for key in keys], torch.cat(keys, 2)
    taker = readout(query, references, cutoff)
    last = lay_out([references[-1].value]) if near is not None else None
    nearby = []
    for start in range(0, cells.shape[1], CHUNK):
        rows = slice(start, start + CHUNK)
        scores = _limited(cells[:, rows] @ together, counts, [None if w is None else w[rows] for w in windows])
        if near is not None and last is not None:
            alone = scores[:, :, -counts[-1] :].masked_fill(~near[rows], OUTSIDE)
            nearby.append(last.average(torch.softmax(alone, 2)))
        taker.take(_raised(scores, counts, references))
    return taker.found(), torch.cat(nearby, 3) if nearby else cells.new_zeros(0)


def _limited(scores: Tensor, counts: Sequence[int], windows: Sequence[Tensor | None]) -> Tensor:
    """Scores without those out of a reference's window."""
    if all(window is None for window in windows):
        return scores
    parts = zip(torch.split(scores, list(counts), 2), windows, strict=True)
    return torch.cat([s if w is None else s.masked_fill(~w, OUTSIDE) for s, w in parts], 2)


def _raised(scores: Tensor, counts: Sequence[int], references: Sequence[Reference]) -> Tensor:
    """Scores raised by the logarithm of each reference's weight; in place."""
    start = 0
    for count, reference in zip(counts, references, strict=True):
        if reference.weight != 1:
            scores[:, :, start : start + count] += math.log(reference.weight)
        start += count
    return scores


def _best(
    query: Tensor,
    references: Sequence[Reference],
    temperature: Tensor | float,
    windows: Sequence[Tensor | None],
    top_k: int,
) -> AttentionOutput:
    """Weights over the `top_k` best only, a chunk of target cells at a time, so that little memory is needed."""
    cells, keys = _cells(query, references, temperature)
    batch, objects, channels = references[0].value.shape[:3]
    held = DenseValues.of([r.value for r in references]).values.flatten(1, 2)
    counts = torch.tensor([key.shape[2] for key in keys], device=query.device)
    owner = torch.repeat_interleave(torch.arange(len(keys), device=query.device), counts)  # of each cell
    parts = []
    for start in range(0, cells.shape[1], CHUNK):
        rows = slice(start, start + CHUNK)
        inside = [None if w is None else w[rows] for w in windows]
        best, index = _strongest(cells[:, rows], references, keys, inside, top_k)
        picked = held.gather(2, index.flatten(1)[:, None].expand(-1, held.shape[1], -1))
        picked = picked.reshape(batch, objects * channels, *index.shape[1:])
        weights = torch.softmax(best, 2)
        value = (picked * weights[:, None]).sum(3).reshape(batch, objects, channels, -1)
        share = [(weights * (owner[index] == r)).sum(2) for r in range(len(keys))]
        parts.append((best[..., 0], value, torch.stack(share, 1)))
    match, value, weight = (torch.cat(part, -1) for part in zip(*parts, strict=True))
    return AttentionOutput(match, value, weight)


def _strongest(
    cells: Tensor,
    references: Sequence[Reference],
    keys: Sequence[Tensor],
    windows: Sequence[Tensor | None],
    top_k: int,
) -> tuple[Tensor, Tensor]:
    """(B, Q, k) scores in falling order and the cells they belong to, counted through all references."""
    found, places, offset = [], [], 0
    for reference, key, window in zip(references, keys, windows, strict=True):
        scores = _raised(cells @ key, [key.shape[2]], [reference])
        scores = scores if window is None else scores.masked_fill(~window, OUTSIDE)
        best, index = scores.topk(min(top_k, key.shape[2]), 2)
        found.append(best)
        places.append(index + offset)
        offset += key.shape[2]
    best, order = torch.cat(found, 2).topk(min(top_k, offset), 2)
    return best, torch.cat(places, 2).gather(2, order)
