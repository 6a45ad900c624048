"""How good the averaged weights are: IoU on held-out clips, and J&F on an annotated data set."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from training.data.clips import Clips, ClipSource
from training.loop.recurrent import ClipLoss
from training.loop.settings import Stage
from training.loop.trainer import Trainer

VALIDATION_SEED = 1_000_000_007


def clips_of(source: ClipSource, stage: Stage, device: str) -> list[Clips]:
    """The clips of the validation, always the same."""
    return [source.sample(stage.shape, VALIDATION_SEED + index, device) for index in range(stage.steps)]


@torch.no_grad()
def mean_iou(loss: ClipLoss, clips: list[Clips]) -> float:
    """Mean IoU over tracked frames, batch by batch."""
    return sum(float(loss(batch, index)[1]) for index, batch in enumerate(clips)) / len(clips)


@torch.no_grad()
def predicted(loss: ClipLoss, clips: Clips) -> Tensor:
    """(B, T, N, H, W) probabilities, in the first frame the truth."""
    return torch.stack([clips.masks[:, 0], *(masks for _, masks in loss.track(clips, 0))], 1)


def j_and_f(trainer: Trainer, root: Path, names: list[str] | None = None) -> dict[str, float]:
    """J&F on a data set in DAVIS' layout by sequence, with the mean over objects as "mean"; only measured, never used.

    Raises:
        MediaError: the data set cannot be read.
    """
    from agss_model.clips import follow
    from agss_model.evaluation import SequenceScorer, mean_score, open_dataset
    from agss_model.tracking.tracker import Tracker
    from agss_model.video.images import ImageFrames

    network = copy.deepcopy(trainer.average).eval()
    scores = []
    for sequence in open_dataset(root, "davis", names):
        scorer = SequenceScorer(sequence)
        with ImageFrames(sequence.frames, name=sequence.name) as frames:
            tracker = Tracker(network, flow=trainer.flow)
            for result in follow(frames, sequence.first_masks, tracker, range(len(sequence.frames))):
                scorer.add(result.frame_index, result.label_map)
        scores.append(scorer.result())
    return {score.name: score.JF for score in scores} | {"mean": mean_score(scores).JF}
