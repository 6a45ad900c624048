"""J, F and J&F of whole collections, as tables and as fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, get_args

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError, ConfigError
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.review.scoring import ClipScore, Protocol, evaluate_clip

PROTOCOLS = get_args(Protocol)
"""What is scored, the official one first."""


@dataclass
class Evaluation:
    """A collection.

    Attributes:
        clips: those that were scored.
        bare: names of clips without anything to score.
        failed: names of clips that could not be read, and why.
    """

    clips: dict[Clip, ClipScore] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Mean of `J`, `F` or `JF` over all objects of all clips, each object counting the same.

        Raises:
            AgssError: nothing was scored.
        """
        values = [getattr(score, measure) for clip in self.clips.values() for score in clip.objects.values()]
        if not values:
            reasons = "".join(f" {name}: {reason}" for name, reason in self.failed.items())
            raise AgssError(f"there is no frame to score: no ground truth on frames that were tracked.{reasons}")
        return fmean(values)

    @property
    def identity(self) -> float:
        """Share of the tracks on objects that are the object's own, in [0, 1]; 0 where there is no track."""
        covered = sum(clip.covered for clip in self.clips.values())
        return sum(clip.own for clip in self.clips.values()) / covered if covered else 0.0

    @property
    def switches(self) -> int:
        """How often the track on an object became another one."""
        return sum(clip.switches for clip in self.clips.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the whole, each clip, each object."""
        table = [
            {
                "clip": clip.name,
                "sample": clip.key,
                "JF": found.JF,
                "identity": found.own / found.covered if found.covered else 0.0,
                "switches": found.switches,
                "objects": {
                    name: {"J": score.J, "F": score.F, "JF": score.JF, "frames": score.frames}
                    for name, score in found.objects.items()
                },
            }
            for clip, found in self.clips.items()
        ]
        means = {measure: self.mean(measure) for measure in ("J", "F", "JF")}
        rest = {"clips": table, "bare": self.bare, "failed": self.failed}
        return {**means, "identity": self.identity, "switches": self.switches, **rest}


class EvaluationRun:
    """Scores clip by clip when iterated; gives the share that is done and the clip's name."""

    def __init__(
        self,
        collection: SampleCollection,
        clips: list[Clip],
        predicted: Field,
        truth: Field,
        protocol: str = PROTOCOLS[0],
    ) -> None:
        """Nothing is read yet.

        Args:
            collection: holds the clips, without filters.
            clips: to score.
            predicted: with the tracks.
            truth: to compare them with.
            protocol: one of `PROTOCOLS`.

        Raises:
            ConfigError: another protocol.
        """
        if protocol not in PROTOCOLS:
            raise ConfigError(f"protocol is {protocol!r}; choose {' or '.join(PROTOCOLS)}.")
        self._collection, self._clips, self._predicted, self._truth = collection, clips, predicted, truth
        self._protocol: Protocol = protocol  # type: ignore[assignment]
        self.evaluation = Evaluation()

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Score; a clip that cannot be read does not stop the others."""
        for place, clip in enumerate(self._clips):
            yield place / len(self._clips), clip.name
            try:
                score = evaluate_clip(self._collection, clip, self._predicted, self._truth, self._protocol)
            except AgssError as error:
                self.evaluation.failed[f"{clip.name} (sample {clip.key})"] = str(error)
                continue
            if score is None:
                self.evaluation.bare.append(clip.name)
            else:
                self.evaluation.clips[clip] = score


def write_scores(collection: SampleCollection, evaluation: Evaluation, name: str) -> None:
    """J&F as fields: of each scored frame, and of each clip on the sample of its video.

    Args:
        collection: without filters.
        evaluation: the scores.
        name: of the fields.
    """
    of_videos: dict[str, list[float]] = {}
    of_frames: dict[str, dict[int, float]] = {}
    of_images: dict[str, float] = {}
    for clip, score in evaluation.clips.items():
        if clip.is_video:  # several clips may be of one
            of_videos.setdefault(clip.key, []).append(score.JF)
            of_frames.setdefault(clip.key, {}).update({number + 1: value for number, value in score.frames.items()})
        else:
            of_images |= {clip.samples[number]: value for number, value in score.frames.items()}
    root = collection._dataset
    if values := of_images | {key: fmean(scores) for key, scores in of_videos.items()}:
        root.add_sample_field(name, fo.FloatField)
        collection.set_values(name, values, key_field="id")
    if of_frames:
        root.add_frame_field(name, fo.FloatField)
        collection.set_values(f"frames.{name}", of_frames, key_field="id")
