"""The tracker as a FiftyOne video model: the same reading, tracking and labels as the operator `track_objects`.

`apply_model` stores what comes back when a whole video is done. For long videos, sequences of images, and
runs that continue where they stopped, there is the operator.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.models as fom
from fiftyone.core.collections import SampleCollection
from fiftyone.core.config import Config

from agss_model.errors import ConfigError, MaskError
from fiftyone_plugin.data.authorship import NOBODY, Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import FieldError, field_of, input_field, output_field
from fiftyone_plugin.data.values import labels_in
from fiftyone_plugin.track.models import DEFAULT, load_network
from fiftyone_plugin.track.prompts import read_prompts
from fiftyone_plugin.track.writing import to_detections

PROMPTS = "prompt_field"
DIRECTIONS = ("both", "forward", "backward")


class AgssVideoModelConfig(Config):
    """Options of `foz.load_zoo_model("agss-vos-lite", ...)`.

    Args:
        weights: name of shipped weights, or a file.
        device: "auto" for the first GPU, else the CPU; or as torch writes it.
        direction: "both", "forward" or "backward" from the labelled frames.

    Raises:
        ConfigError: an unknown option or direction.
    """

    def __init__(self, d: dict[str, Any]) -> None:
        options = {"weights": DEFAULT, "device": "auto", "direction": DIRECTIONS[0]}
        if unknown := d.keys() - options.keys():
            raise ConfigError(f"{sorted(unknown)[0]!r} is not an option of this model; there are {', '.join(options)}.")
        self.weights, self.device, self.direction = (str(d.get(name, value)) for name, value in options.items())
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"direction is {self.direction!r}; choose one of {', '.join(DIRECTIONS)}.")


class AgssVideoModel(fom.SamplesMixin, fom.Model):
    """Tracks what is drawn on some frames of a video through all others, every object at once.

    Example:
        >>> dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts")    # doctest: +SKIP
    """

    def __init__(self, config: AgssVideoModelConfig) -> None:
        super().__init__()
        self.config = config
        self._network = load_network(config.weights, config.device)
        self._label_field = ""

    @property
    def media_type(self) -> str:
        """The media it takes: videos only."""
        return "video"

    @property
    def needs_fields(self) -> dict[str, str]:
        """The prompt field, as `apply_model` was given it."""
        return self._fields

    @needs_fields.setter
    def needs_fields(self, fields: Mapping[str, str]) -> None:
        # FiftyOne selects these fields of the samples, so "frames." must be there; people leave it out.
        self._fields = {key: f"frames.{str(name).removeprefix('frames.')}" for key, name in fields.items()}

    def __enter__(self) -> AgssVideoModel:
        """Called by `apply_model` before the first video: the last moment at which an error is not merely logged.

        Raises:
            ConfigError: no `prompt_field`, or another keyword argument.
            FieldError: a field that is missing, of the wrong type, or named so that FiftyOne would lose the masks.
        """
        call = _call_of_apply_model()
        if call is not None:
            self._check(call["samples"], call["label_field"])
        return self

    def predict(self, video_reader: object, sample: fo.Sample | None = None) -> dict[int, fo.Detections]:
        """The masks of every frame in reach of a labelled one.

        Args:
            video_reader: not used; frames are read with exact numbers and in either direction.
            sample: the video with its labels, or a clip of it.

        Returns:
            Frame number (from 1) to detections.

        Raises:
            ConfigError: `needs_fields` names no prompt field.
            MaskError: nothing is drawn in the video, or its labels contradict each other.
            MediaError: the video cannot be read.
        """
        del video_reader
        if sample is None:
            raise ConfigError("This model needs the sample beside the video, for the masks on it; use apply_model().")
        from agss_model.clips import propagate

        name = self._prompt_field().removeprefix("frames.")
        clip = _clip(sample)
        frames = [(number - 1, frame[name], None) for number, frame in sample.frames.items()]
        authors = Authors.of((number, label) for number, value, _ in frames for label in labels_in(value))
        with clip.open() as source:
            prompts = read_prompts(source, frames, f"{clip.key} {self._label_field}", (authors, NOBODY))
            if not prompts.drawn:
                raise MaskError(f"{clip.name} has no mask, polygon or box in frames.{name}; draw one on some frame.")
            stop = None if clip.last is None else clip.last + 1
            results = propagate(
                source, prompts.keyframes, self._network, start=clip.first, stop=stop,
                direction=self.config.direction,  # type: ignore[arg-type]
            )  # fmt: skip
            return {
                result.frame_index + 1: to_detections(
                    result, prompts.objects, prompts.drawn.get(result.frame_index, {})
                )
                for result in results
            }

    def _prompt_field(self) -> str:
        if unknown := self.needs_fields.keys() - {PROMPTS}:
            raise ConfigError(
                f"apply_model() got {sorted(unknown)[0]!r}, but this model takes {PROMPTS} only; its options (weights, "
                "device, direction) are for load_zoo_model()."
            )
        if PROMPTS not in self.needs_fields:
            raise ConfigError(f'Say where the first masks are: apply_model(..., {PROMPTS}="frames.ground_truth").')
        return self.needs_fields[PROMPTS]

    def _check(self, samples: SampleCollection, label_field: object) -> None:
        prompts = input_field(samples, self._prompt_field())
        if not isinstance(label_field, str) or label_field.startswith("frames."):
            raise FieldError(
                f"label_field={label_field!r} would lose every mask, as FiftyOne puts the results of video models into "
                f"frames by plain names only; give {str(label_field).removeprefix('frames.')!r}."
            )
        found = output_field(samples, field_of(samples, label_field).name)
        if found == prompts:
            raise FieldError(
                f"{PROMPTS} and label_field are both {found.name!r}, so what was drawn would be replaced; give "
                "label_field another name."
            )
        self._label_field = found.name


def _call_of_apply_model() -> Mapping[str, Any] | None:
    """The arguments of the `apply_model` that is running; it tells a model nothing of where masks will be stored."""
    frame = sys._getframe(1)
    for _ in range(8):
        if frame is None:
            break
        if frame.f_code.co_name == "apply_model" and {"samples", "label_field"} <= frame.f_locals.keys():
            return frame.f_locals
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _clip(sample: fo.Sample) -> Clip:
    path = str(sample.filepath)
    support = getattr(sample, "support", None)
    if support is None:
        return Clip(Path(path).name, (sample.id,), (path,), True)
    first, last = support
    name = f"{Path(path).name}, frames {first} to {last}"
    return Clip(name, (sample.sample_id,), (path,), True, first - 1, last - 1)
