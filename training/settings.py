"""One TOML file is one reproducible run; what it leaves out has the defaults stated here."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agss_model.errors import ConfigError
from training.recurrent import RecurrentConfig
from training.synthesis import SynthesisConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the curriculum.

    Attributes:
        steps: optimiser steps.
        batch: clips per step and process.
        size: side of the frames, pixels.
        frames: frames of a clip.
    """

    steps: int
    batch: int = 4
    size: int = 256
    frames: int = 3


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides how a run goes.

    Attributes:
        preset: network to train.
        network: settings that differ from the preset's.
        init: weights to start from; "imagenet" for the encoder alone, or a safetensors file.
        seed: of data and initialisation.
        lr: learning rate of the new layers.
        encoder_lr: learning rate of the pretrained encoder.
        frozen_blocks: blocks of the encoder, from the stem on, that are not trained.
        power: of the poly schedule.
        weight_decay: of AdamW.
        clip_norm: largest norm of the gradient.
        ema: decay of the averaged weights that are validated and shipped; 0 for none.
        shards: tar shards of stills to train on, None for all.
        still_size: longest side at which stills are kept, pixels.
        validation_stills: stills kept out of training, from the end.
        mixed_precision: "no", "bf16" or "fp16".
        stages: the curriculum.
        synthesis: how clips look; size and frames come from the stage.
        recurrent: how clips are trained on.
    """

    preset: str = "lite"
    network: dict[str, Any] = field(default_factory=dict)
    init: str = "imagenet"
    seed: int = 0
    lr: float = 5e-4
    encoder_lr: float = 5e-5
    frozen_blocks: int = 0
    power: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    ema: float = 0.998
    shards: int | None = None
    still_size: int = 384
    validation_stills: int = 128
    mixed_precision: str = "no"
    stages: tuple[Stage, ...] = (Stage(steps=1000),)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> Stage:
        """The stage a step (from 0) belongs to."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]


def read_run(path: Path) -> RunConfig:
    """Read a run's file.

    Raises:
        ConfigError: the file is missing, is not TOML, or has a name or type the settings do not know.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"There is no run file {path}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    return from_dict(values, str(path))


def from_dict(values: dict[str, Any], where: str) -> RunConfig:
    """Build a run from plain values; see `read_run`."""
    values = dict(values)
    try:
        if "stages" in values:
            values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        for name, kind in (("synthesis", SynthesisConfig), ("recurrent", RecurrentConfig)):
            if name in values:
                values[name] = kind(**values[name])
        return RunConfig(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}.") from error


def to_dict(run: RunConfig) -> dict[str, Any]:
    """Plain values for JSON; `from_dict` reads them."""
    return dataclasses.asdict(run)
