"""Learning from a clip's own masks before it is tracked; what can do it registers itself, as `training` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from agss_model.config import AgssConfig
from agss_model.errors import ConfigError, install
from agss_model.masks.labels import LabelMap
from agss_model.runs.reporting import Report
from agss_model.video.source import FrameSource

ADAPTERS = "agss.adapters"
"""Entry points of what can learn from a clip; each is an `Adapter`, the first one is used."""
Adapter = Callable[[str, FrameSource, Mapping[int, LabelMap], Path, Report, float], str]
"""See `training.team.adapt.adapted_weights`: arguments and result as of `adapted_weights` here."""


def can_learn(network: AgssConfig) -> bool:
    """Whether weights of such a network can learn from a clip, with what is installed or can be."""
    return network.architecture == "lite" and bool(entry_points(group=ADAPTERS))


def adapted_weights(
    weights: str, source: FrameSource, label_maps: Mapping[int, LabelMap], folder: Path, report: Report, minutes: float
) -> str:
    """Weights that have learned from a clip's human frames, or those given where that is not better.

    Args:
        weights: name or file of the weights to begin with.
        source: the clip.
        label_maps: (H, W) by frame number, drawn by a human.
        folder: where what was learned is kept, and found again.
        report: where to speak.
        minutes: that it may take.

    Raises:
        ConfigError: nothing installed can do it, or the weights cannot learn.
    """
    if minutes <= 0:
        raise ConfigError(f"--adapt is {minutes} minutes; give a number above 0, such as 2.")
    points = list(entry_points(group=ADAPTERS))
    if not points:
        raise ConfigError(f"--adapt needs the training parts: {install('train')}.")
    try:
        adapter: Adapter = points[0].load()
    except ImportError as error:
        raise ConfigError(f"--adapt needs {error.name}: {install('train')}.") from error
    return adapter(weights, source, label_maps, folder, report, minutes)
