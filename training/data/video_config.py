"""Settings of the sampler of real clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agss_model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """How clips are cut out of annotated videos.

    Attributes:
        max_skip: largest distance of neighbouring frames, in annotated frames; drawn anew for each clip.
        reference: "first" of the sampled frames guides the others, as in the paper; "random": any of them, as in the
            published code.
        fit: "resize" the whole frame, as in the paper; "crop": a random part with the proportions of the clip.
        flip: probability of a mirrored clip.
        reverse: probability of reversed time.
        max_objects: objects of a clip that are tracked, at most.
        minimum: share of the frame from which on an object counts as present.
        tint: how much light and colours of a clip are changed, see `training.data.tint`; 0 for not at all.
    """

    max_skip: int = 3
    reference: Literal["first", "random"] = "first"
    fit: Literal["resize", "crop"] = "resize"
    flip: float = 0.5
    reverse: float = 0.5
    max_objects: int = 6
    minimum: float = 0.001
    tint: float = 0.0

    def __post_init__(self) -> None:
        if self.max_skip < 1 or self.max_objects < 1:
            raise ConfigError(f"max_skip = {self.max_skip} and max_objects = {self.max_objects} must be at least 1.")
        if self.reference not in ("first", "random") or self.fit not in ("resize", "crop"):
            raise ConfigError(
                f"reference = {self.reference!r} must be 'first' or 'random', fit = {self.fit!r} 'resize' or 'crop'."
            )
