"""What a frame tells about how far each object's mask can be trusted: a few numbers per object, for all in one pass.

Everything comes from what the tracker holds anyway: the mask, the evidence it was decided by, the mask moved here, the
frame before, and what a person drew. Nothing is remembered for it, so whatever goes on from a state sees the same
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.network.base import AGSSVOS, Features, Reference, Sighting
from agss_model.network.losses import soft_iou
from agss_model.tracking.memory import ReferenceCells, fringe, moments

NAMES = (
    "certainty", "unsure_inside", "unsure_outside", "outline", "agreement", "change",
    "target", "memory_iou", "previous_iou", "warped_iou", "target_iou", "others", "contact",
    "alike", "alike_iou", "alike_outside", "alike_ratio", "resembles_others",
    "look", "look_margin", "look_surround", "look_before",
    "human_area", "human_area_least", "human_spread", "human_aspect", "human_fringe", "fringe",
    "motion", "cut", "was_lost",
)  # fmt: skip
"""The numbers, in order."""
AGAINST = frozenset(
    (
        "unsure_inside", "unsure_outside", "change", "outline", "others", "contact", "alike_outside",
        "resembles_others", "human_area", "human_area_least", "human_spread", "human_aspect", "human_fringe", "fringe",
        "motion", "was_lost",
    )
)  # fmt: skip
"""More of these speaks against a mask."""
_SURE, _UNSURE = 0.8, 0.2
CONTACT = 0.3
"""Share of the mask's cells beside another object from which two meet."""
_FAR = 3.0  # of a logarithm: beyond, more makes no difference


@dataclass(frozen=True)
class Regions:
    """The masks of N objects in one frame, at (h, w) as carried.

    Attributes:
        found: (N, h, w) float in [0, 1], the masks as far as the objects can be there.
        moved: (N, h, w) float in [0, 1], the masks of the frame before, aligned by flow.
        inside: (N, h, w) bool, above one half in `found`.
        area: (N,) int32, pixels inside.
        anywhere: (N,) int32, the same without asking whether the object can be there.
        before: (N,) int32, pixels above one half in `moved`.
        certainty: (N,) float in [-1, 1], how clearly the pixels inside were decided; -1 where there are none.
        agreement: (N,) float in [0, 1], soft IoU of `found` with `moved`.
    """

    found: Tensor
    moved: Tensor
    inside: Tensor
    area: Tensor
    anywhere: Tensor
    before: Tensor
    certainty: Tensor
    agreement: Tensor

    @classmethod
    def of(cls, masks: Tensor, within: Tensor, moved: Tensor) -> Regions:
        """Count what is on the masks of a frame.

        Args:
            masks: (N, h, w) float in [0, 1], what was found.
            within: (N, h, w) bool, where each object can be.
            moved: (N, h, w) float in [0, 1].
        """
        above = masks > 0.5
        inside = above & within
        found = masks * within
        area = count(inside)
        certainty = (found * inside).sum((-2, -1)) / area.clamp_min(1) * 2 - 1
        overlap = torch.minimum(found, moved).sum((-2, -1))
        union = found.sum((-2, -1)) + moved.sum((-2, -1)) - overlap
        agreement = torch.where(union > 0, overlap / union.clamp_min(1e-6), torch.ones_like(union))
        return cls(found, moved, inside, area, count(above), count(moved > 0.5), certainty, agreement)


def count(where: Tensor) -> Tensor:
    """(N, h, w) bool -> (N,) int32, how many are True; as bytes, which takes a third of the time."""
    return where.contiguous().view(torch.uint8).sum((-2, -1), dtype=torch.int32)


@dataclass(frozen=True)
class TrackedFrame:
    """One tracked frame; N objects, masks at (h4, w4) as carried, cells at (h, w).

    Attributes:
        network: that tracked it.
        features: of the frame.
        sighting: what the network found.
        regions: the masks that count, and those of the frame before.
        was_lost: (N,) bool, lost in the frame before.
        human: frames that a person drew.
        previous: the frame before.
    """

    network: AGSSVOS
    features: Features
    sighting: Sighting
    regions: Regions
    was_lost: Tensor
    human: Sequence[Reference]
    previous: Reference | None


class Observer:
    """Works out the numbers of one frame after another; what a person drew is measured once."""

    def __init__(self) -> None:
        self._human: tuple[list[Tensor], ReferenceCells] | None = None

    def clues(self, frame: TrackedFrame) -> Tensor | None:
        """(N, len(NAMES)) float32, finite; None where the network does not tell enough."""
        evidence, key, previous = frame.sighting.evidence, frame.features.key, frame.previous
        if evidence is None or key is None or previous is None or not frame.human:
            return None
        inside = frame.regions.inside
        stride = inside.shape[-1] // key.shape[-1]
        cells = F.avg_pool2d(inside.float()[None], stride)[0]
        told = {
            **_outline(frame.regions),
            **_evidence(cells, evidence[0]),
            **_alike(cells, frame),
            **_looks(cells, key[0], self._shown(frame.human), ReferenceCells.of([previous])),
            "cut": (key[0] * previous.key[0].float()).sum(0).mean(),
            "was_lost": frame.was_lost,
        }
        told["resembles_others"] = _rivals(cells, told["contact"], frame)
        every = torch.stack([told[name].float().expand(len(cells)) for name in NAMES], 1)
        return every.nan_to_num(0.0, 0.0, 0.0)

    def _shown(self, human: Sequence[Reference]) -> ReferenceCells:
        tensors = [tensor for reference in human for tensor in (reference.value, reference.known)]
        held, shown = self._human or ([], None)
        if shown is None or len(held) != len(tensors) or any(a is not b for a, b in zip(held, tensors, strict=True)):
            shown = ReferenceCells.of(human)
            self._human = tensors, shown
        return shown


def _outline(regions: Regions) -> dict[str, Tensor]:
    """How clearly the mask was decided, its outline, and how it goes with the mask moved here."""
    found, inside = regions.found, regions.inside
    area = regions.area.float()
    size = area.clamp_min(1)
    edges = count(inside[:, 1:] != inside[:, :-1]) + count(inside[:, :, 1:] != inside[:, :, :-1])
    return {
        "certainty": regions.certainty,
        "unsure_inside": (area - count(found > _SURE)) / size,
        "unsure_outside": ((count(found > _UNSURE) - area) / size).clamp_max(_FAR),
        "agreement": regions.agreement,
        "change": (size / regions.before.clamp_min(1)).log().abs().clamp_max(_FAR),
        "outline": (edges / size.sqrt()).log1p(),
    }


def _inside(cells: Tensor, values: Tensor) -> Tensor:
    """Mean of (..., h, w) values over the (N, h, w) cells of each object, (N,)."""
    return (values * cells).sum((-2, -1)) / cells.sum((-2, -1)).clamp_min(1e-3)


def _evidence(cells: Tensor, evidence: Tensor) -> dict[str, Tensor]:
    """How the mask goes with each source of evidence, (N, S + 1, h, w), and with the other objects."""
    nothing = torch.zeros(len(cells), device=cells.device)
    told = {"target": nothing, "target_iou": nothing}  # of a network without one
    sources, others = evidence[:, :-1].transpose(0, 1), evidence[:, -1]
    ious = soft_iou(cells[None], sources.clamp(0, 1))
    told |= {f"{name}_iou": iou for name, iou in zip(("memory", "previous", "warped", "target"), ious, strict=False)}
    if len(sources) > 3:
        told["target"] = _inside(cells, sources[3])
    near = F.max_pool2d((cells.sum(0) - cells)[None], 3, 1, 1)[0]
    return told | {"others": _inside(cells, others), "contact": _inside(cells, near)}


def _alike(cells: Tensor, frame: TrackedFrame) -> dict[str, Tensor]:
    """The mask against where a model of what a person drew, and of nothing else, puts each object."""
    likeness = frame.network.likeness(frame.features, frame.human)
    if likeness is None:
        nothing = torch.zeros(len(cells), device=cells.device)
        return dict.fromkeys(("alike", "alike_iou", "alike_outside", "alike_ratio"), nothing)
    alike = likeness.share[0].clamp(0, 1)
    area = cells.sum((-2, -1)).clamp_min(0.1)
    inside = _inside(cells, alike)
    return {
        "alike": inside,
        "alike_ratio": (inside / likeness.drawn[0].clamp_min(0.02)).clamp_max(_FAR),
        "alike_iou": soft_iou(cells[None], alike[None])[0],
        "alike_outside": ((alike * (1 - cells)).sum((-2, -1)) / area).clamp_max(_FAR),
    }


def _rivals(cells: Tensor, contact: Tensor, frame: TrackedFrame) -> Tensor:
    """How much the cells of masks that touch others look like what a person drew of others, (N,); 0 for the rest."""
    touching = contact > CONTACT
    places = (cells[touching].sum(0).flatten() > 0.3).nonzero()[:, 0]
    if not len(places):
        return torch.zeros(len(cells), device=cells.device)
    alike = frame.network.resemblance(frame.features, frame.human, places)
    share = cells.flatten(1)[:, places]
    own = (share * alike).sum(1)
    return (share @ alike.sum(0) - own) / share.sum(1).clamp_min(1e-3) * touching


def _looks(cells: Tensor, key: Tensor, human: ReferenceCells, before: ReferenceCells) -> dict[str, Tensor]:
    """The mean look, size and shape of the mask against those that a person drew, and its place against before."""
    share = cells.flatten(1)
    look = F.normalize(share @ key.flatten(1).t(), dim=1)
    area, place, spread = moments(share, key.shape[-2:])
    area = area.clamp_min(0.1)
    all_pairs = torch.einsum("nk,rmk->rnm", look, human.look)  # each mask with each object of each frame
    unknown = human.known[:, None] == 0
    slot = torch.eye(len(cells), dtype=torch.bool, device=cells.device)
    own = all_pairs.masked_fill(unknown | ~slot, -1).amax((0, 2))
    others = all_pairs.masked_fill(unknown | slot, -1).amax((0, 2))
    surround = (human.surround @ look.t()).amax(0)
    others = torch.maximum(others, surround)
    weight = human.known / human.known.sum(0).clamp_min(1)
    growth = (area / human.area.clamp_min(0.1)).log()
    least = growth.abs().masked_fill(human.known == 0, _FAR).amin(0)
    scale = (spread.prod(-1) / area).log() - (human.spread.prod(-1) / human.area.clamp_min(0.1)).log()
    aspect = (spread[:, 0] / spread[:, 1]).log() - (human.spread[..., 0] / human.spread[..., 1]).log()
    thin = (human.fringe * weight).sum(0)
    step = (place - before.place[0]).norm(dim=1) / spread.prod(-1).sqrt()
    return {
        "look": own,
        "look_margin": own - others,
        "look_surround": own - surround,
        "look_before": (look * before.look[0]).sum(1),
        "human_area": (growth * weight).sum(0).abs().clamp_max(_FAR),
        "human_area_least": least.clamp_max(_FAR),
        "human_spread": (scale * weight).sum(0).abs().clamp_max(_FAR),
        "human_aspect": (aspect * weight).sum(0).abs().clamp_max(_FAR),
        "human_fringe": (fringe(share) - thin).abs(),
        "fringe": thin,
        "motion": torch.where(before.known[0] > 0, step, 0.0).clamp_max(_FAR),
    }
