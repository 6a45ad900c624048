"""The paper's recurrent training of one batch of clips: masks of frame t-1 carried on, truth where they went wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.flow.base import FlowEstimator
from agss_model.flow.warp import warp
from agss_model.losses import iou_loss, soft_iou
from agss_model.network import aggregation
from agss_model.network.base import AGSSVOS, Features, Reference
from training.synthesis import Clips


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """How a clip is trained on.

    Attributes:
        tolerance: a carried mask whose IoU is not above it is replaced by the truth.
        cross_entropy: weight of the pixel-wise cross-entropy beside the IoU loss of equation 7.
        still_share: share of clips whose masks are carried without flow, so that the network serves both.
        recent_share: probability that an earlier tracked frame stays in the memory beside the first.
    """

    tolerance: float = 0.5
    cross_entropy: float = 1.0
    still_share: float = 0.4
    recent_share: float = 0.5


class ClipLoss(nn.Module):
    """Loss of a network over clips; a module, so that distributed training wraps one call.

    Args:
        network: what is trained.
        config: how.
        flow: estimator of the motion between frames, None for none.
    """

    def __init__(self, network: AGSSVOS, config: RecurrentConfig, flow: FlowEstimator | None) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.flow = flow

    def forward(self, clips: Clips, seed: int) -> tuple[Tensor, Tensor]:
        """Track the clips and say how wrong it was.

        Args:
            clips: B clips of T frames.
            seed: of the random choices (flow, memory).

        Returns:
            Scalar loss and scalar mean IoU of all tracked frames, without gradient.
        """
        rng = torch.Generator().manual_seed(seed)
        count = clips.frames.shape[1]
        small = _reduce(clips.masks, self.network.mask_stride)
        features = self._encode(clips.frames)
        carried = small[:, 0] * (clips.entry == 0)[:, :, None, None]
        memory = [_remember(self.network, features[0], carried, clips.entry <= 0)]
        previous = memory[0]
        losses, ious = [], []
        for t in range(1, count):
            known, given = clips.entry < t, clips.entry == t
            warped = self._warp(clips.frames, t, carried, rng)
            seen = [m for i, m in enumerate(memory) if i == 0 or _chance(rng, self.config.recent_share)]
            probabilities = self.network.segment(features[t], seen, previous, warped, valid=known)
            loss, iou = self._score(probabilities, clips.masks[:, t], known)
            losses.append(loss)
            ious.append(iou)
            carried = self._carry(probabilities.detach(), small[:, t], known, given)
            previous = _remember(self.network, features[t], carried, clips.entry <= t)
            memory.append(previous)
        return torch.stack(losses).mean(), torch.stack(ious).mean()

    def _encode(self, frames: Tensor) -> list[Features]:
        """All frames of all clips at once; (B, T, 3, H, W) -> features of each of the T frames."""
        batch, count = frames.shape[:2]
        together = self.network.encode(frames.transpose(0, 1).flatten(0, 1))

        def part(x: Tensor | None, t: int) -> Tensor | None:
            return None if x is None else x[t * batch : (t + 1) * batch]

        return [
            Features(
                together.image[t * batch : (t + 1) * batch],
                tuple(level[t * batch : (t + 1) * batch] for level in together.levels),
                part(together.key, t),
            )
            for t in range(count)
        ]

    def _warp(self, frames: Tensor, t: int, masks: Tensor, rng: torch.Generator) -> Tensor:
        if self.flow is None:
            return masks
        moving = torch.rand(len(masks), generator=rng) >= self.config.still_share
        if not moving.any():
            return masks
        flow = self.flow(frames[:, t], frames[:, t - 1])
        flow = flow * moving.to(flow)[:, None, None, None]
        stride = self.network.mask_stride
        if stride > 1:
            flow = F.avg_pool2d(flow, stride) / stride
        return warp(masks, flow).clamp(0, 1)

    def _score(self, probabilities: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        full = aggregation.upsample(probabilities, truth.shape[-2:], self.network.config.use_normalisation)
        truth = truth * valid[:, :, None, None]
        loss = iou_loss(full, truth, valid)
        if self.config.cross_entropy:
            every = torch.cat([1 - full.sum(1, keepdim=True), full], 1).clamp_min(aggregation.EPSILON)
            target = torch.cat([1 - truth.sum(1, keepdim=True), truth], 1).argmax(1)
            loss = loss + self.config.cross_entropy * F.nll_loss(every.log(), target)
        with torch.no_grad():
            weight = valid.float()
            iou = (soft_iou((full > 0.5).float(), truth) * weight).sum() / weight.sum().clamp_min(1)
        return loss, iou

    def _carry(self, masks: Tensor, truth: Tensor, known: Tensor, given: Tensor) -> Tensor:
        """Masks for the next step: predicted, or true where tracking failed or the object has just come in."""
        failed = known & (soft_iou(masks, truth) <= self.config.tolerance)
        masks = torch.where((failed | given)[:, :, None, None], truth, masks)
        return masks * (known | given)[:, :, None, None]


def _reduce(masks: Tensor, stride: int) -> Tensor:
    """(B, T, N, H, W) -> (B, T, N, H / stride, W / stride), the mean of each square."""
    return F.avg_pool2d(masks.flatten(0, 1), stride).unflatten(0, masks.shape[:2]) if stride > 1 else masks


def _remember(network: AGSSVOS, features: Features, masks: Tensor, known: Tensor) -> Reference:
    entry = network.remember(features, masks)
    return Reference(entry.key, entry.value, known)


def _chance(rng: torch.Generator, probability: float) -> bool:
    return float(torch.rand(1, generator=rng)) < probability
