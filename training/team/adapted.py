"""How a clip is learned, and what came of it; kept beside the run, so that nothing is learned twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agss_model.bounded_json import read_json
from agss_model.errors import ConfigError

HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """How a clip is learned.

    Attributes:
        minutes: that it may take on this machine.
        steps: optimiser steps, exactly so many; 0 for 80, or what fits in the minutes.
        seed: of everything random.
        size: longest side of the clips that are learned from, pixels; 0 for 448 on a CPU, 640 on a GPU.
        stills: folder of photographs with masks that hide the objects, None for the clip's own objects only.
    """

    minutes: float = 2.0
    steps: int = 0
    seed: int = 0
    size: int = 0
    stills: Path | None = None

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.steps < 0:
            raise ConfigError(f"minutes = {self.minutes} and steps = {self.steps} leave nothing to be learned in.")


@dataclass(frozen=True)
class Adapted:
    """What was learned.

    Attributes:
        weights: to track with: a new file, or those it began with where nothing better was found.
        learned: whether it is a new file.
        steps: optimiser steps behind it.
        before: mean IoU on what was held out, with the weights it began with.
        after: likewise, with what was learned.
        held_out: what that was, in words.
        share: of the change that is used: 1, 0.5 or 0.
        there_and_back: IoU after a round trip from a human mask, with the weights it began with, with half of the
            change and with all of it, see `training.team.round_trip`; zeros where it came to nothing before.
    """

    weights: str
    learned: bool
    steps: int
    before: float
    after: float
    held_out: str
    share: float = 0.0
    there_and_back: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def sentence(self) -> str:
        """The outcome in a sentence."""
        change = f"IoU {self.before:.3f} before, {self.after:.3f} after, on {self.held_out}"
        if any(self.there_and_back):
            change += "; tracked there and back {:.3f}, {:.3f} with half of it, {:.3f}".format(*self.there_and_back)
        if self.learned:
            used = "; half of the change is used" if self.share == HALF else ""
            return f"learned from the clip's own masks in {self.steps} steps ({change}){used}."
        return f"nothing better was learned from the clip's own masks ({change}); the weights stay as they were."


def read_adapted(record: Path) -> Adapted:
    """What was learned before.

    Raises:
        ConfigError: the record is damaged, or its weights are gone.
    """
    try:
        values = read_json(record)
        found = Adapted(**values | {"there_and_back": tuple(values["there_and_back"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{record} is damaged ({error!r}); remove it, and the clip is learned again") from error
    if found.learned and not Path(found.weights).is_file():
        raise ConfigError(f"{found.weights} is gone; remove {record} too, and the clip is learned again")
    return found
