"""One TOML file is one reproducible run; what it leaves out has the defaults stated here."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agss_model.errors import ConfigError
from training.data.clips import ClipShape
from training.data.video_config import VideoConfig
from training.loop.recurrent import RecurrentConfig
from training.synthesis.scenes import SynthesisConfig

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
        size: of the frames in pixels: a side, or [height, width]; multiples of 32.
        frames: frames of a clip.
    """

    steps: int
    batch: int = 4
    size: int | tuple[int, int] = 256
    frames: int = 3

    def __post_init__(self) -> None:
        if self.frames < 2 or self.batch < 1 or self.steps < 1:
            raise ConfigError(f"A stage needs 2 frames, 1 clip and 1 step at least; this is {self}.")
        shape = self.shape
        if min(shape.height, shape.width) < 32 or shape.height % 32 or shape.width % 32:
            raise ConfigError(f"size = {self.size} cannot be used; sides are multiples of 32.")

    @property
    def shape(self) -> ClipShape:
        """What a step of this stage looks like."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return ClipShape(batch=self.batch, frames=self.frames, height=height, width=width)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a share of the clips comes from.

    Attributes:
        kind: "stills" (clips made from photographs); the layout of real clips, "davis" or "youtube-vos"; "overlaid" for
            real clips in DAVIS' layout with objects of stills pasted over them; "sparse" for videos of which only some
            frames are annotated, as `training.annotations.prepare` writes them.
        folder: below the folder of the data.
        stills: for "overlaid", the folder of the stills.
        synthesis: settings of the run's synthesis that differ for this source.
        weight: share of the steps, relative to the other sources.
        list: file below `folder` that names the sequences to train on; by default DAVIS' own list `train.txt` where
            there is one, else all.
        validation: for "sparse", the folder of the videos to validate on.
    """

    kind: Literal["stills", "davis", "youtube-vos", "overlaid", "sparse"] = "stills"
    folder: str = "."
    stills: str = "."
    synthesis: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    list: str = ""
    validation: str = ""

    def __post_init__(self) -> None:
        kinds = ("stills", "davis", "youtube-vos", "overlaid", "sparse")
        if self.kind not in kinds or self.weight <= 0:
            raise ConfigError(f"{self} is no source; kinds are {', '.join(kinds)}, weights are above 0.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides how a run goes; docs/training.md explains how to choose.

    Attributes:
        preset: network to train.
        network: settings that differ from the preset's.
        init: weights to start from: "random", "imagenet" for the encoder of `lite`, or a safetensors file.
        flow_weights: safetensors file for a flow that is a network; empty for an untrained one.
        seed: of data and initialisation.
        optimizer: "adamw", or "adam" with the decay added to the gradient.
        lr: learning rate.
        encoder_lr: of the encoder.
        object_lr: of the object path (instance module and decoder), None for `lr`.
        flow_lr: of a flow that is a network; 0 leaves it as it is.
        frozen_blocks: blocks of the encoder of `lite`, from the stem on, that are not trained.
        frozen: beginnings of the names of further parameters that are not trained.
        warm_up: steps in which the rate rises.
        power: of the poly schedule.
        decay: steps at the end in which the rate falls to nothing, constant before: such a run can be stopped, and be
            gone on with, at any time. 0 for the poly schedule.
        weight_decay: of the optimizer.
        clip_norm: largest norm of the gradient, 0 for any.
        accumulate: batches, each of a source of its own, whose gradients make one step: large steps in little memory.
        patience: steps without a better validation score after which the run ends, 0 for never. With it the first
            weights are validated too, so that the best ones are never worse than those the run began with.
        ema: decay of the averaged weights that are validated and shipped; 0 for none.
        kept: share of the run's first weights in the averaged ones, so that little of what they knew is lost; 0 for
            training that is to lead away from them.
        shards: tar shards of stills to train on, None for all.
        still_size: longest side at which stills are kept, pixels.
        validation_stills: stills kept out of training, from the end.
        validation_videos: real clips kept out of training, from the end, where there are no stills.
        validation: size and number of the validation's batches.
        mixed_precision: "no", "bf16" or "fp16".
        channels_last: memory layout of the convolutions.
        compile: compile the network's modules; pays off after minutes, on a GPU.
        prefetch: batches made ahead in a thread; 0 on a CPU, whose cores are busy anyway.
        flow_threads: threads that compute DIS flow ahead for all frames of a batch; 0 computes it inside the step.
        sources: where clips come from.
        stages: the curriculum.
        synthesis: how synthetic clips look.
        videos: how real clips are sampled.
        recurrent: how clips are trained on.
    """

    preset: str = "lite"
    network: dict[str, Any] = field(default_factory=dict)
    init: str = "imagenet"
    flow_weights: str = ""
    seed: int = 0
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: float = 5e-4
    encoder_lr: float = 5e-5
    object_lr: float | None = None
    flow_lr: float = 0.0
    frozen_blocks: int = 0
    frozen: tuple[str, ...] = ()
    warm_up: int = 50
    power: float = 0.9
    decay: int = 0
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    accumulate: int = 1
    patience: int = 0
    ema: float = 0.998
    kept: float = 0.0
    shards: int | None = None
    still_size: int = 384
    validation_stills: int = 128
    validation_videos: int = 8
    validation: Stage = Stage(steps=8, frames=4)
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = True
    compile: bool = False
    prefetch: int = 0
    flow_threads: int = 0
    sources: tuple[Source, ...] = (Source(),)
    stages: tuple[Stage, ...] = (Stage(steps=1000),)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    videos: VideoConfig = field(default_factory=VideoConfig)
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)

    def __post_init__(self) -> None:
        if not self.stages or not self.sources:
            raise ConfigError("A run needs at least one of stages and one of sources.")
        if self.accumulate < 1:
            raise ConfigError(f"accumulate = {self.accumulate} makes no step; choose 1 or more.")
        if not 0 <= self.kept < 1:
            raise ConfigError(f"kept = {self.kept} is no share; choose from 0 up to below 1.")
        for name, allowed in (("optimizer", ("adamw", "adam")), ("mixed_precision", ("no", "bf16", "fp16"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} = {getattr(self, name)!r} is not known; use one of {', '.join(allowed)}.")

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

    def data_seed(self, step: int, rank: int = 0, processes: int = 1) -> int:
        """Seed of the clips of a step: data is a function of run, step and process, so resuming needs no state."""
        return self.seed * 1_000_003 + step * processes + rank


def clip_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """(height, width) in multiples of 32 with a picture's proportions, the longer side about `longest`."""
    scale = longest / max(height, width)
    rows, columns = (max(32, round(side * scale / 32) * 32) for side in (height, width))
    return rows, columns


def read_run(path: Path, changes: Sequence[str] = ()) -> RunConfig:
    """Read a run's file.

    Args:
        path: TOML.
        changes: settings that replace the file's, as lines of TOML such as `recurrent.still_share = 1.0`.

    Raises:
        ConfigError: the file is missing, is not TOML, or has a name or type the settings do not know.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        _merge(values, tomllib.loads("\n".join(changes)))
    except OSError as error:
        raise ConfigError(f"The run file {path} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{' '.join([str(path), *changes])} is not valid TOML: {error}.") from error
    return from_dict(values, str(path))


def from_dict(values: dict[str, Any], where: str) -> RunConfig:
    """Build a run from plain values; see `read_run`."""
    read = dict(values)
    try:
        if "stages" in read:
            read["stages"] = tuple(_stage(stage) for stage in read["stages"])
        if "validation" in read:
            read["validation"] = _stage(read["validation"])
        if "frozen" in read:
            read["frozen"] = tuple(read["frozen"])
        if "sources" in read:
            read["sources"] = tuple(Source(**source) for source in read["sources"])
        for name, kind in (("synthesis", SynthesisConfig), ("videos", VideoConfig), ("recurrent", RecurrentConfig)):
            if name in read:
                read[name] = kind(**read[name])
        return RunConfig(**read)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}.") from error


def to_dict(run: RunConfig) -> dict[str, Any]:
    """Plain values for JSON; `from_dict` reads them."""
    return dataclasses.asdict(run)


def rehearsal(run: RunConfig, steps: int = 20) -> RunConfig:
    """The same run in small, to see on any machine that it goes through: every stage and source, tiny frames."""

    def small(stage: Stage, count: int) -> Stage:
        wide = stage.shape.width > stage.shape.height
        size = (64, 128) if wide else (64, 64)
        return Stage(steps=count, batch=min(stage.batch, 2), size=size, frames=min(stage.frames, 3))

    each = max(1, steps // len(run.stages))
    return dataclasses.replace(
        run,
        stages=tuple(small(stage, each) for stage in run.stages),
        validation=small(run.validation, 1),
        shards=1 if run.shards is None else min(run.shards, 1),
        still_size=min(run.still_size, 96),
        validation_stills=min(run.validation_stills, 8),
        validation_videos=min(run.validation_videos, 1),
        compile=False,
        mixed_precision="no",
    )


def _stage(values: dict[str, Any]) -> Stage:
    size = values.get("size", 256)
    if isinstance(size, list):
        height, width = size
        values = values | {"size": (int(height), int(width))}
    return Stage(**values)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value
