"""Learning from a clip's own drawings before it is tracked, see `agss_model.adaptation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone.constants as foc

from agss_model.adaptation import adapted_weights
from agss_model.masks.labels import LabelMap
from agss_model.runs.reporting import FRAMES
from agss_model.video import FrameSource
from fiftyone_plugin.track.models import load_network

if TYPE_CHECKING:
    from agss_model.network.base import AGSSVOS


class StoppableReport:
    """A `agss_model.runs.reporting.Report` that asks after every step whether to stop.

    Args:
        note: takes sentences for the run's summary.
        heed: raises where the run is to stop; what was learned is gone on with by the next run.
    """

    def __init__(self, note: Callable[[str], None], heed: Callable[[], None]) -> None:
        self.note, self.advance = note, heed

    @contextmanager
    def progress(self, what: str, total: int, done: int = 0, unit: str = FRAMES) -> Iterator[StoppableReport]:
        """See `Report`."""
        yield self


def learned_network(
    weights: str,
    device: str,
    source: FrameSource,
    keyframes: Mapping[int, LabelMap],
    minutes: float,
    report: StoppableReport,
) -> AGSSVOS:
    """A network that has learned from a clip, or the one it began with where that is not better.

    Raises:
        AgssError: as `adapted_weights`.
    """
    folder = Path(foc.FIFTYONE_CONFIG_DIR) / "agss-vos" / "adapted"
    return load_network(adapted_weights(weights, source, keyframes, folder, report, minutes), device)
