"""The paper's recurrent training of one batch of clips: masks of frame t-1 carried on, truth where they went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.flow.motion import FlowEstimator, reduced, warp
from agss_model.network import equations
from agss_model.network.base import AGSSVOS, Features, Question, Reference
from agss_model.network.losses import divergence, iou_loss, soft_iou
from agss_model.tracking.quality import reach
from training.data.clips import Clips

WITHOUT = ((True, False, False), (False, True, False), (False, False, True), (False, True, True))
"""Memory, frame before, warped mask: what an object goes without. The last is one found again."""
GROWN = (5, 9, 13)
"""Sides of the square that a mask is widened by, in pixels of the carried masks."""
SHIFT = 0.3
"""Largest displacement, in the root of the mask's area."""


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """How a clip is trained on.

    Attributes:
        tolerance: a carried mask whose IoU is not above it is replaced by the truth.
        cross_entropy: weight of the pixel-wise cross-entropy beside the IoU loss of equation 7.
        still_share: share of clips whose masks are carried without flow, so that the network serves both.
        recent_share: probability that an earlier tracked frame stays in the memory beside the reference.
        without: probability that an object is to be found without one source of evidence, or without both that carry
            its mask on; drawn anew for each frame.
        mistaken: probability that an object's carried mask is made wrong, see `mistaken`.
        taught: weight of the divergence from what the run's first weights say, on clips made from stills; for
            fine-tuning, so that little is forgotten. What makes features and memory must be frozen: both share them.
    """

    tolerance: float = 0.5
    cross_entropy: float = 1.0
    still_share: float = 0.4
    recent_share: float = 0.5
    without: float = 0.3
    mistaken: float = 0.1
    taught: float = 0.0


class ClipLoss(nn.Module):
    """Loss of a network over clips; a module, so that distributed training wraps one call.

    Args:
        network: what is trained.
        config: how.
        flow: estimator of the motion between frames, None for none; one that is a module is trained too.
        teacher: the network as it was at first, for `RecurrentConfig.taught`.
    """

    def __init__(
        self,
        network: AGSSVOS,
        config: RecurrentConfig,
        flow: FlowEstimator | None,
        teacher: AGSSVOS | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.flow = flow
        self.teacher = teacher

    def forward(self, clips: Clips, seed: int) -> tuple[Tensor, Tensor]:
        """Track the clips and say how wrong it was.

        Args:
            clips: B clips of T frames.
            seed: of the random choices (flow, memory).

        Returns:
            Scalar loss, and scalar mean IoU of all tracked frames without gradient. Where `clips.known` says that
            nothing is known, nothing counts; of every batch some frame after the first must be known.
        """
        scores, lessons = [], list[Tensor]()
        # Where only some frames are known the clip is one to learn something new from.
        teacher = self.teacher if clips.known is None else None
        for t, probabilities in self._track(clips, seed, teacher, lessons):
            valid = clips.entry < t
            if clips.known is None:
                scores.append(self._score(probabilities, clips.masks[:, t], valid))
                continue
            valid = valid & clips.known[:, t]
            if (rows := valid.any(1)).any():
                scores.append(self._score(probabilities[rows], clips.masks[rows, t], valid[rows]))
        losses, ious = zip(*scores, strict=True)
        loss = torch.stack(losses).mean()
        if lessons:
            loss = loss + self.config.taught * torch.stack(lessons).mean()
        return loss, torch.stack(ious).mean()

    def track(self, clips: Clips, seed: int) -> Iterator[tuple[int, Tensor]]:
        """Number of each frame after the first, and the (B, N, H, W) probabilities there."""
        return self._track(clips, seed, None, [])

    def _track(
        self, clips: Clips, seed: int, teacher: AGSSVOS | None, lessons: list[Tensor]
    ) -> Iterator[tuple[int, Tensor]]:
        """See `track`; to the lessons comes for each frame the divergence from the teacher, asked the same."""
        rng = torch.Generator().manual_seed(seed)
        small = _reduce(clips.masks, self.network.mask_stride)
        features = self._encode(clips.frames)
        carried = small[:, 0] * (clips.entry == 0)[:, :, None, None]
        previous = self._remember(features[0], carried, clips.entry <= 0)
        human = self._reference(features, small, clips, previous)
        memory = [replace(human, weight=self.network.config.human_weight)]  # as the tracker does
        before: list[Tensor] = []
        for t in range(1, clips.frames.shape[1]):
            known, given = clips.entry < t, clips.entry == t
            warped = self._warp(clips, t, carried, rng)
            seen = [m for i, m in enumerate(memory) if i == 0 or _chance(rng, self.config.recent_share)]
            within, without = self._within(warped), self._without(warped, rng)
            asked = Question(seen, previous, warped, known, within, without)
            probabilities = self.network.segment(features[t], asked).float()
            if teacher is not None:
                with torch.no_grad():
                    lesson = teacher.segment(features[t], asked).float()
                lessons.append(divergence(probabilities, lesson))
            yield t, self._enlarge(probabilities, clips.masks)
            told = known if clips.known is None else known & clips.known[:, t]
            before.append(carried)
            carried = self._carry(probabilities.detach(), small[:, t], known, given, told)
            if self.training and self.config.mistaken:
                carried = mistaken(carried, before, self.config.mistaken, rng)
            previous = self._remember(features[t], carried, clips.entry <= t)
            memory.append(previous)

    def _encode(self, frames: Tensor) -> list[Features]:
        """All frames of all clips at once; (B, T, 3, H, W) -> features of each of the T frames."""
        batch, count = frames.shape[:2]
        together = self.network.encode(frames.transpose(0, 1).flatten(0, 1))
        return [together.of_clips(slice(t * batch, (t + 1) * batch)) for t in range(count)]

    def _reference(self, features: list[Features], masks: Tensor, clips: Clips, first: Reference) -> Reference:
        """The frame with true masks that guides the others: the first, or one per clip."""
        if clips.reference is None:
            return first
        rows = torch.arange(len(masks), device=masks.device)

        def pick(levels: list[Tensor]) -> Tensor:
            return torch.stack(levels, 1)[rows, clips.reference]

        keys = [f.key for f in features if f.key is not None]
        appearances = [f.appearance for f in features if f.appearance is not None]
        levels = tuple(pick(list(level)) for level in zip(*(f.levels for f in features), strict=True))
        image = pick([f.image for f in features])
        chosen = Features(image, levels, pick(keys) if keys else None, pick(appearances) if appearances else None)
        truth = masks[rows, clips.reference] * (clips.entry < masks.shape[1])[:, :, None, None]
        return self._remember(chosen, truth, truth.sum((-2, -1)) > 0)

    def _remember(self, features: Features, masks: Tensor, known: Tensor) -> Reference:
        return replace(self.network.remember(features, masks), known=known)

    def _warp(self, clips: Clips, t: int, masks: Tensor, rng: torch.Generator) -> Tensor:
        """Masks of frame t - 1 moved to frame t; some clips go without, by chance."""
        if self.flow is None and clips.flow is None:
            return masks
        moving = torch.rand(len(masks), generator=rng) >= self.config.still_share
        rows = moving.nonzero()[:, 0].to(masks.device)
        if not len(rows):
            return masks
        if clips.flow is not None:
            flow = clips.flow[rows, t - 1]
        elif self.flow is not None:
            flow = reduced(self.flow(clips.frames[rows, t], clips.frames[rows, t - 1]), self.network.mask_stride)
        return masks.index_copy(0, rows, warp(masks[rows], flow.float()).clamp(0, 1))

    def _without(self, warped: Tensor, rng: torch.Generator) -> Tensor | None:
        """(B, N, S) bool: sources of evidence to go without, by chance and in training only."""
        sources = self.network.sources
        if not (self.training and self.config.without and sources):
            return None
        shape = warped.shape[:2]
        kind = torch.randint(len(WITHOUT), shape, generator=rng)
        chosen = torch.rand(shape, generator=rng) < self.config.without
        lacking = torch.tensor(WITHOUT)[kind] & chosen[..., None]
        return F.pad(lacking, (0, sources - 3)).to(warped.device)

    def _within(self, warped: Tensor) -> Tensor:
        """Where the tracker would let each object be, going by its carried mask (B, N, h, w)."""
        flat = warped.flatten(0, 1)
        anywhere = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        return reach(flat, anywhere).reshape(warped.shape)

    def _enlarge(self, probabilities: Tensor, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        if probabilities.shape[-2:] == (height, width):
            return probabilities
        return equations.upsample(probabilities, (height, width), self.network.config.use_normalisation)

    def _score(self, probabilities: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        shown = valid[:, :, None, None]
        truth, probabilities = truth * shown, probabilities * shown
        loss = iou_loss(probabilities, truth, valid)
        if self.config.cross_entropy:
            every = equations.with_background(probabilities).clamp_min(equations.EPSILON)
            entropy = -(equations.with_background(truth) * every.log()).sum(1).mean()  # truth is 0 or 1
            loss = loss + self.config.cross_entropy * entropy
        with torch.no_grad():
            weight = valid.float()
            iou = (soft_iou((probabilities > 0.5).float(), truth) * weight).sum() / weight.sum().clamp_min(1)
        return loss, iou

    def _carry(self, masks: Tensor, truth: Tensor, known: Tensor, given: Tensor, told: Tensor) -> Tensor:
        """Masks for the next step: predicted, or true where tracking failed or the object has just come in."""
        failed = told & (soft_iou(masks, truth) <= self.config.tolerance)
        masks = torch.where((failed | given)[:, :, None, None], truth, masks)
        return masks * (known | given)[:, :, None, None]


def _reduce(masks: Tensor, stride: int) -> Tensor:
    """(B, T, N, H, W) -> (B, T, N, H / stride, W / stride), the mean of each square."""
    if stride == 1:
        return masks
    return F.avg_pool2d(masks.flatten(0, 1), stride).reshape(*masks.shape[:3], *(s // stride for s in masks.shape[3:]))


def _chance(rng: torch.Generator, probability: float) -> bool:
    return float(torch.rand(1, generator=rng)) < probability


def mistaken(masks: Tensor, earlier: Sequence[Tensor], share: float, rng: torch.Generator) -> Tensor:
    """Make the masks of some objects wrong, as tracking makes them wrong, so that a network learns to mend them.

    Clips of a few easy frames hardly ever go wrong by themselves, and then carrying the mask on is all there is to
    learn. A mask goes wrong in one of five ways: moved, grown into others, cut, old, or another's.

    Args:
        masks: (B, N, h, w) float in [0, 1], at most 1 in all at a pixel.
        earlier: the same of frames before, oldest first; may be empty.
        share: probability for each object.
        rng: random numbers, on the CPU.

    Returns:
        (B, N, h, w) like `masks`; what an object takes, the others lose.
    """
    batch, objects = masks.shape[:2]
    chosen = torch.rand(batch, objects, generator=rng) < share
    if not chosen.any():
        return masks
    kinds = torch.randint(5, (batch, objects), generator=rng)
    wrong = masks.clone()
    taken = torch.zeros_like(masks[:, 0])
    for b, n in chosen.nonzero().tolist():
        other = int(torch.randint(objects, (1,), generator=rng))
        past = earlier[int(torch.randint(len(earlier), (1,), generator=rng))] if earlier else masks
        wrong[b, n] = _wrong(masks[b], n, int(kinds[b, n]), masks[b, other], past[b, n], rng)
        taken[b] = torch.maximum(taken[b], wrong[b, n])
    keep = chosen.to(masks.device)[:, :, None, None]
    together = torch.where(keep, wrong, masks * (1 - taken[:, None]))
    return together / together.sum(1, keepdim=True).clamp_min(1)


def _wrong(masks: Tensor, n: int, kind: int, other: Tensor, past: Tensor, rng: torch.Generator) -> Tensor:
    """(h, w) of object n out of (N, h, w)."""
    mask = masks[n]
    if kind == 0:
        far = SHIFT * float(mask.sum().sqrt())
        down, right = ((torch.rand(2, generator=rng) * 2 - 1) * far).round().int().tolist()
        return torch.roll(mask, (down, right), (0, 1))
    if kind == 1:
        side = GROWN[int(torch.randint(len(GROWN), (1,), generator=rng))]
        return F.max_pool2d(mask[None, None], side, 1, side // 2)[0, 0]
    if kind == 2:
        return mask * _half(mask, rng)
    return past if kind == 3 else torch.maximum(mask * float(torch.rand(1, generator=rng) < 0.5), other)


def _half(mask: Tensor, rng: torch.Generator) -> Tensor:
    """(h, w) of 0 and 1: one side of a line through the mask's middle."""
    height, width = mask.shape
    y, x = torch.arange(height, device=mask.device).float(), torch.arange(width, device=mask.device).float()
    total = mask.sum().clamp_min(1e-6)
    middle_y, middle_x = (mask.sum(1) * y).sum() / total, (mask.sum(0) * x).sum() / total
    angle = torch.rand(1, generator=rng) * 2 * torch.pi
    down, right = float(torch.sin(angle)), float(torch.cos(angle))
    return ((y - middle_y)[:, None] * down + (x - middle_x)[None] * right > 0).float()
