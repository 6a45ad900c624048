"""What a tracker remembers of a clip: human frames for good, a few confident frames, and the frame before.

`ReferenceCells` measures what is seen on them, which later frames are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.network.base import AGSSVOS, Features, Reference


@dataclass(frozen=True)
class Entry:
    """One remembered frame.

    Attributes:
        frame_index: its number.
        ids: the objects its reference holds, in that order.
        reference: what the network keeps of it.
    """

    frame_index: int
    ids: tuple[int, ...]
    reference: Reference

    @classmethod
    def of(
        cls,
        network: AGSSVOS,
        frame_index: int,
        ids: tuple[int, ...],
        features: Features,
        masks: Tensor,
        known: Tensor,
        *,
        lasting: bool = True,
    ) -> Entry:
        """Remember a frame, in as few bytes as tracking needs.

        Args:
            network: that looked at it.
            frame_index: its number.
            ids: the objects.
            features: of the frame.
            masks: (N, h, w) float32 in [0, 1], as carried, of each of `ids`.
            known: (N,) bool, False where the frame says nothing of the object.
            lasting: False for one that will only ever be the frame before.
        """
        reference = network.compact(network.remember(features, masks[None], lasting=lasting))
        return cls(frame_index, ids, reference).knowing(known)

    def knowing(self, known: Tensor) -> Entry:
        """The same frame, which says something about the objects that are True in `known`, (N,) bool."""
        return replace(self, reference=replace(self.reference, known=known[None]))

    def arranged(self, ids: Sequence[int]) -> Reference:
        """The reference for these objects in this order; unknown where the frame does not have one."""
        if tuple(ids) == self.ids:
            return self.reference
        place = {object_id: slot for slot, object_id in enumerate(self.ids)}
        return self.reference.select([place.get(object_id) for object_id in ids])

    def known(self) -> set[int]:
        """Objects that this frame says something about."""
        flags = self.reference.known[0].tolist()
        return {object_id for object_id, flag in zip(self.ids, flags, strict=True) if flag}


@dataclass(frozen=True)
class Recalled:
    """What a network is given of a memory, all for the same objects in the same order.

    Attributes:
        human: frames that a person drew or corrected, with the weight that makes them count more.
        tracked: confident frames that the tracker made.
        previous: the frame before, or None.
    """

    human: list[Reference]
    tracked: list[Reference]
    previous: Reference | None


class Memory:
    """Bounded: `max_references` human frames (more only when objects need them), `max_recent` tracked ones."""

    def __init__(self, max_references: int, max_recent: int, recent_stride: int, human_weight: float = 1.0) -> None:
        self.max_references, self.max_recent, self.recent_stride = max_references, max_recent, recent_stride
        self.human_weight = human_weight
        self.permanent: list[Entry] = []
        self.recent: list[Entry] = []
        self.previous: Entry | None = None
        self.since = 0

    def recall(self, ids: Sequence[int]) -> Recalled:
        """The references for these objects in this order."""
        return Recalled(
            human=[replace(entry.arranged(ids), weight=self.human_weight) for entry in self.permanent],
            tracked=[entry.arranged(ids) for entry in self.recent],
            previous=self.previous.arranged(ids) if self.previous else None,
        )

    def add_permanent(self, entry: Entry) -> None:
        """Keep a human frame; it replaces what was known of the same frame. The first and the newest stay longest."""
        same = [e for e in self.permanent if e.frame_index == entry.frame_index]
        self.permanent = [e for e in self.permanent if e.frame_index != entry.frame_index]
        self.permanent.append(_merged(same[0], entry) if same else entry)
        self.recent = [e for e in self.recent if e.frame_index != entry.frame_index]
        for candidate in self.permanent[1:-1]:
            if len(self.permanent) <= self.max_references:
                break
            others = set().union(*(e.known() for e in self.permanent if e is not candidate))
            if candidate.known() <= others:
                self.permanent.remove(candidate)

    def keeps(self, *, confident: bool) -> bool:
        """Whether the frame just tracked will become a recent one."""
        return bool(self.max_recent) and confident and self.since + 1 >= self.recent_stride

    def advance(self, entry: Entry, *, confident: bool) -> None:
        """The frame just tracked becomes the previous one, and every so often a recent one."""
        self.previous = entry
        keeps = self.keeps(confident=confident)
        self.since += 1
        if keeps:
            self.since = 0
            self.recent = [*self.recent, entry][-self.max_recent :]

    def forget(self, ids: set[int]) -> None:
        """Drop objects, and frames that know of no other."""
        self.permanent = _without(self.permanent, ids)
        self.recent = _without(self.recent, ids)
        if self.previous is not None:
            self.previous = next(iter(_without([self.previous], ids, keep_empty=True)), None)


def _without(entries: list[Entry], ids: set[int], *, keep_empty: bool = False) -> list[Entry]:
    kept = []
    for entry in entries:
        left = tuple(i for i in entry.ids if i not in ids)
        if left and (keep_empty or entry.known() - ids):
            kept.append(Entry(entry.frame_index, left, entry.arranged(left)))
    return kept


def _merged(old: Entry, new: Entry) -> Entry:
    """A second annotation of a frame: what it knows counts, the rest stays as it was."""
    known = new.known()
    ids = tuple(dict.fromkeys((*new.ids, *old.ids)))
    fresh, before = new.arranged(ids), old.arranged(ids)
    rows = [i for i, object_id in enumerate(ids) if object_id not in known]
    return Entry(new.frame_index, ids, fresh.corrected(rows, before))


@dataclass(frozen=True)
class ReferenceCells:
    """R frames and N objects; every tensor is float32. What is not always needed is worked out on request.

    Attributes:
        key: (R, K, Q) unit length, of the Q cells of each frame.
        share: (R, N, Q) in [0, 1], how much of each cell is the object's.
        known: (R, N) 1 where the frame says something of the object and shows it, else 0.
        area: (R, N) cells.
        place: (R, N, 2) centre, rows and columns of cells.
        spread: (R, N, 2) standard deviation of the object's cells around the centre, cells.
    """

    key: Tensor
    share: Tensor
    known: Tensor
    area: Tensor
    place: Tensor
    spread: Tensor

    @classmethod
    def of(cls, references: Sequence[Reference]) -> ReferenceCells:
        """Measure one clip's references: at least one, all for the same objects, with keys."""
        key = torch.stack([r.key[0].float().flatten(1) for r in references])
        share = torch.stack([_shares(r.value[0]).flatten(1) for r in references])
        area, place, spread = moments(share, references[0].key.shape[-2:])
        known = torch.stack([r.known[0] for r in references]) & (area > 0)
        return cls(key, share, known.float(), area, place, spread)

    @cached_property
    def look(self) -> Tensor:
        """(R, N, K) unit length, the mean key of the object's cells."""
        return F.normalize(self.share @ self.key.transpose(1, 2), dim=2)

    @cached_property
    def surround(self) -> Tensor:
        """(R, K) unit length, the mean key of the cells of no object."""
        free = (1 - self.share.sum(1)).clamp(0, 1)
        return F.normalize((self.key @ free[:, :, None])[:, :, 0], dim=1)

    @cached_property
    def fringe(self) -> Tensor:
        """(R, N) in [0, 1], see `fringe`."""
        return fringe(self.share)


def _shares(value: Tensor) -> Tensor:
    """(N, V, h, w) of a reference -> (N, h, w) float in [0, 1], how much of each cell is the object's."""
    if value.dtype != torch.uint8:
        return value.float().mean(1)
    return value.sum(1, dtype=torch.int32) / (255 * value.shape[1])


def fringe(share: Tensor) -> Tensor:
    """How thin or ragged objects are for the cells they are seen in: the share that lies in cells half their own.

    Args:
        share: (..., h * w) float in [0, 1].

    Returns:
        (...,) in [0, 1].
    """
    return (share * (1 - share)).sum(-1) / share.sum(-1).clamp_min(0.1)


def moments(share: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Area, centre and standard deviation of what covers cells.

    Args:
        share: (..., h * w) float in [0, 1].
        size: (h, w).

    Returns:
        (...,) cells, (..., 2) and (..., 2) in cells, rows before columns.
    """
    rows = torch.arange(size[0], device=share.device, dtype=torch.float32).repeat_interleave(size[1])
    columns = torch.arange(size[1], device=share.device, dtype=torch.float32).repeat(size[0])
    powers = torch.stack([torch.ones_like(rows), rows, columns, rows.square(), columns.square()], 1)
    sums = share @ powers
    area, means = sums[..., 0], sums[..., 1:] / sums[..., :1].clamp_min(1e-3)
    place = means[..., :2]
    variance = (means[..., 2:] - place.square()).clamp_min(0) + 1 / 12  # a cell is no point
    return area, place, variance.sqrt()
