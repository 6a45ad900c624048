"""Settings of a network, saved beside its weights; the defaults are stated here and nowhere else."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from agss_model.errors import ConfigError

Architecture = Literal["lite", "paper", "rgmp", "propagation"]
Encoder = Literal["efficientnet-lite0", "efficientnet-lite2"]
FlowName = Literal["dis", "flownet2c", "flownet2", "none"]

_WIDTH = (64, 48, 32)


@dataclass(frozen=True, kw_only=True)
class AgssConfig:
    """What a network is made of and how it is run.

    Attributes:
        architecture: `lite` (the shipped default), `paper` (layers as published), `rgmp` (the paper's baseline, one
            object per pass), `propagation` (labels carried by untrained ImageNet features).
        encoder: what looks at a frame (lite, propagation); `agss_model.network.lite.efficientnet` builds it.
        flow: estimator that aligns the previous masks with the target frame.
        use_flow: off: previous masks are used where they were (Table 4, OF).
        use_agnostic: off: masks come from the instance-specific features alone (Table 4, IAM).
        use_specific: off: the agnostic feature is multiplied with the warped mask itself (Table 4, ISM).
        use_normalisation: off: objects do not compete by equation 4 (Table 4, NM).
        use_target: off: no linear model of each object beside the memory (lite; beyond the paper).
        published_grid: reproduce the half-pixel shift of the published warping (parity with imported checkpoints).
        max_side: frames are reduced to this longest side before the network, in pixels.
        small_object: side in pixels at working size that smaller objects are brought to, 0 for none.
        small_object_max_side: frames are not enlarged beyond this longest side for it, in pixels.
        small_object_enlargement: nor by more than this factor for it, where that is beyond `small_frame`.
        small_frame: up to this longest side frames are enlarged for it by any factor, in pixels.
        max_enlargement: smaller frames are enlarged towards `max_side`, by this factor at most.
        key_channels: length of a matching key (lite).
        width: channels of the object path at 1/16, 1/8 and 1/4 (lite).
        temperature: divisor of cosine similarities before the softmax; the start value where it is learned.
        window: radius in cells within which the previous frame is matched.
        windows: compute each object only where it can be; off: everywhere (lite, paper).
        evidence_threshold: share of a carried pixel from which an object can be in its cell (lite, paper).
        target_threshold: evidence of the target model from which an object can be in a cell (lite).
        top_k: similarities kept per cell when reading the memory, 0 for all.
        cutoff: similarities kept are those whose weight is at least exp(-cutoff) of the best one's, 0 for all (lite).
        human_weight: how much a cell of a human frame counts against one of a tracked frame (lite).
        max_references: human frames kept; beyond it the first and the newest stay.
        max_recent: confident tracked frames kept beside the references.
        recent_stride: every so many frames one becomes a recent frame.
    """

    architecture: Architecture = "lite"
    encoder: Encoder = "efficientnet-lite0"
    flow: FlowName = "dis"
    use_flow: bool = True
    use_agnostic: bool = True
    use_specific: bool = True
    use_normalisation: bool = True
    use_target: bool = True
    published_grid: bool = False
    max_side: int = 640
    small_object: int = 48
    small_object_max_side: int = 960
    small_object_enlargement: float = 2.0
    small_frame: int = 480
    max_enlargement: float = 1.5
    key_channels: int = 64
    width: tuple[int, int, int] = _WIDTH
    temperature: float = 0.05
    window: int = 7
    windows: bool = True
    evidence_threshold: float = 0.15
    target_threshold: float = 0.5
    top_k: int = 0
    cutoff: float = 2.0
    human_weight: float = 2.0
    max_references: int = 8
    max_recent: int = 3
    recent_stride: int = 5

    def __post_init__(self) -> None:
        for name in ("architecture", "encoder", "flow"):
            allowed = get_args(get_type_hints(AgssConfig)[name])
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(allowed)}.")
        if not (self.use_agnostic or self.use_specific):
            raise ConfigError("use_agnostic and use_specific cannot both be off: nothing is left to decode; keep one.")
        if not (isinstance(self.width, tuple) and len(self.width) == 3 and all(type(n) is int for n in self.width)):
            raise ConfigError(f"width is {self.width!r}; it must be three whole numbers, such as {_WIDTH}.")
        for name, (low, high) in RANGES.items():
            values = self.width if name == "width" else (getattr(self, name),)
            if not all(low <= value <= high for value in values):  # so that NaN is refused, too
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be from {low} to {high}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def changes(self) -> dict[str, Any]:
        """Plain values of what differs from the preset of the same architecture."""
        usual = preset(self.architecture).to_dict()
        return {name: value for name, value in self.to_dict().items() if usual.get(name) != value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AgssConfig:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: a name is unknown or a value has another type than the default's.
        """
        defaults = cls()
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"Unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
        read = dict(values)
        if isinstance(read.get("width"), list):
            read["width"] = tuple(read["width"])
        for name, value in read.items():
            expected = type(getattr(defaults, name))
            if expected is float and type(value) is int:
                read[name] = float(value) if abs(value) < 2**53 else math.inf  # which no range holds
            elif type(value) is not expected:
                raise ConfigError(f"{name} is {value!r}; it must be of type {expected.__name__}.")
        return cls(**read)


RANGES: dict[str, tuple[float, float]] = {
    "max_side": (16, 4096), "small_object": (0, 1024), "small_object_max_side": (16, 4096),
    "small_object_enlargement": (1.0, 8.0), "small_frame": (16, 4096), "max_enlargement": (1.0, 8.0),
    "key_channels": (8, 512), "width": (1, 512), "temperature": (1e-4, 10.0), "window": (0, 64),
    "evidence_threshold": (0.0, 1.0), "target_threshold": (0.0, 1.0), "top_k": (0, 4096), "cutoff": (0.0, 100.0),
    "human_weight": (0.01, 100.0), "max_references": (1, 64), "max_recent": (0, 10), "recent_stride": (1, 1000),
}  # fmt: skip
"""Least and most of every number; a file of weights from somewhere cannot ask for more memory or time than this."""

PRESETS: dict[str, AgssConfig] = {
    "lite": AgssConfig(),
    "paper": AgssConfig(
        architecture="paper",
        use_target=False,
        max_side=1280,
        small_object=0,
        max_enlargement=1.0,
        evidence_threshold=0.05,
        max_recent=0,
    ),
    "rgmp": AgssConfig(
        architecture="rgmp",
        use_target=False,
        flow="none",
        use_flow=False,
        max_side=1280,
        small_object=0,
        max_enlargement=1.0,
        max_recent=0,
    ),
    "propagation": AgssConfig(
        architecture="propagation",
        use_target=False,
        flow="none",
        use_flow=False,
        max_side=864,
        small_object=0,
        max_enlargement=1.0,
        temperature=0.1,
        window=12,
        top_k=7,
        human_weight=1.0,
        max_recent=7,
        recent_stride=1,
    ),
}


def preset(name: str) -> AgssConfig:
    """The settings behind a name.

    Raises:
        ConfigError: no preset has this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"No preset is called {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
