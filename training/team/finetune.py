"""Fine-tuning on a team's own annotations: settings for `training.train`, which does the work.

What differs from training from scratch: a small rate, encoder and keys fixed, clips of the team's videos mixed with
synthetic ones on which the first weights are the teacher so that the network does not forget, and a number of steps
that footage which was not learned from has chosen: videos kept apart, or each of a few left out in turn
(training/team/folds.py).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agss_model.bounded_json import read_json
from agss_model.config import AgssConfig
from agss_model.errors import ConfigError, WeightsError
from agss_model.files import write_json
from agss_model.weights.files import read_weights
from agss_model.weights.registry import digest_of, locate
from training.annotations.prepare import PreparedFolder
from training.data.video_config import VideoConfig
from training.loop.recurrent import RecurrentConfig
from training.loop.settings import RunConfig, Source, Stage, clip_size, from_dict, to_dict
from training.loop.sources import open_sources
from training.loop.timing import STEPS as TIMED
from training.loop.timing import seconds_per_step
from training.loop.trainer import SHARED, Trainer
from training.synthesis.scenes import SynthesisConfig

RECORD = "finetune.json"
DATA = "data"
TEAM, TEAM_STILLS, OTHER_STILLS = 0.4, 0.1, 0.5  # shares of the steps
STEPS_PER_FRAME, FEWEST, MOST = 4, 120, 2000
RATE = 3e-4
FROZEN = (*SHARED, "log_temperature")  # of lite: what features and memory are made of
TAUGHT = 6.0  # weight of the divergence from the first weights
TINT = 0.1  # a team's few videos show few colours
LEAST_STEPS = 40  # below that nothing is learned, whatever the time


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """What a user may decide about a fine-tuning; nothing else is left open.

    Attributes:
        weights: name or file of the weights to begin with.
        stills: folder of photographs with masks to mix in, None for only the team's own frames.
        steps: optimiser steps of a training, 0 for four per annotated frame.
        minutes: steps are cut so that all trainings take no longer on this machine, 0 for as long as it takes.
        seed: of data and order.
        size: longest side of the clips, pixels; 0 for 448 on a CPU, 640 on a GPU.
        kept: share of the weights it began with that stays; the more, the less is forgotten, and learned.
    """

    weights: str = "lite"
    stills: Path | None = None
    steps: int = 0
    minutes: float = 15
    seed: int = 0
    size: int = 0
    kept: float = 0.5


@dataclass(frozen=True)
class TrainingPlan:
    """A run that is ready to go.

    Attributes:
        run: settings of the training; with folds those of the last one, which learns from everything.
        validate_every: steps between validations.
        seconds: that it will take, all trainings together, 0 where this was not measured.
        seconds_per_step: likewise.
        folds: trainings that come before, in each of which something is left out.
    """

    run: RunConfig
    validate_every: int
    seconds: float = 0.0
    seconds_per_step: float = 0.0
    folds: int = 0

    def fold(self, number: int) -> RunConfig:
        """Settings of one of the trainings that come before, from 1: those of the last one but for the data."""
        data = f"{DATA}/folds/{number}"
        sources = [
            dataclasses.replace(source, folder=source.folder.replace(DATA, data, 1))
            if source.folder.startswith(f"{DATA}/")
            else source
            for source in self.run.sources
        ]
        sources[0] = dataclasses.replace(sources[0], validation=f"{data}/validation")
        # Patient to the end: the curves are compared at equal steps, and the first weights are validated as well.
        return dataclasses.replace(self.run, sources=tuple(sources), patience=self.run.total_steps + 1)


def plan(prepared: PreparedFolder, out: Path, wishes: FinetuneOptions) -> TrainingPlan:
    """Settings of a run; those of an earlier, interrupted one in the same folder where there is one.

    Raises:
        ConfigError: the folder's record is damaged.
        WeightsError: the weights to begin with cannot be had.
    """
    record = out / RECORD
    if record.is_file():
        return _read(record)
    start, digest, config = _start(wishes.weights)
    run = _settings(prepared, wishes, config, start)
    timed = _timed(run, out)
    trainings = 1 + len(prepared.folds)
    fits = int((60 * wishes.minutes / trainings - timed["start"]) / timed["step"]) if wishes.minutes else MOST
    steps = run.total_steps if wishes.steps else max(LEAST_STEPS, min(run.total_steps, fits))
    run = _with_steps(run, steps)
    seconds = trainings * (timed["start"] + steps * timed["step"])
    made = TrainingPlan(run, _validate_every(steps), seconds, timed["step"], len(prepared.folds))
    about = {"run": to_dict(run), "validate_every": made.validate_every, "seconds": seconds, "folds": made.folds}
    shown = wishes.weights if str(start) != str(Path(wishes.weights).resolve()) else start.name
    weights = {"name": shown, "place": wishes.weights if shown == wishes.weights else str(start), "sha256": digest}
    about |= {"seconds_per_step": timed["step"], "weights": weights}
    write_json(record, about)
    return made


def _read(record: Path) -> TrainingPlan:
    try:
        found = read_json(record)
        run = from_dict(found["run"], str(record))
        times = float(found["seconds"]), float(found["seconds_per_step"])
        return TrainingPlan(run, int(found["validate_every"]), *times, int(found.get("folds", 0)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{record} is damaged ({error!r}); choose another --out") from error


def _start(weights: str) -> tuple[Path, str, AgssConfig]:
    path, expected = locate(weights)
    _, config, metadata = read_weights(path, expected)
    if metadata.get("kind"):
        raise WeightsError(f"{path} holds {metadata['kind']}, which is no segmentation network")
    return path.resolve(), digest_of(weights), config


def _settings(prepared: PreparedFolder, wishes: FinetuneOptions, config: AgssConfig, start: Path) -> RunConfig:
    gpu = torch.cuda.is_available()
    annotated = prepared.annotated("train")
    steps = wishes.steps or min(MOST, max(FEWEST, STEPS_PER_FRAME * annotated))
    shape = Stage(
        steps=steps, batch=8 if gpu else 2, size=_clip_size(prepared, wishes.size or (640 if gpu else 448)), frames=4
    )
    lite = config.architecture == "lite"
    return RunConfig(
        preset=config.architecture,
        network=config.changes(),
        init=str(start),
        seed=wishes.seed,
        lr=RATE,
        encoder_lr=RATE / 10,
        frozen=FROZEN if lite else (),
        recurrent=RecurrentConfig(taught=TAUGHT if lite else 0.0),
        warm_up=20,
        ema=0.99,
        kept=wishes.kept,
        still_size=min(384, max(shape.shape.height, shape.shape.width)),
        validation_stills=0,
        validation_videos=0,
        validation=dataclasses.replace(shape, steps=8),
        mixed_precision="bf16" if gpu else "no",
        prefetch=2 if gpu else 0,
        patience=0 if prepared.folds else _patience(steps),
        sources=_sources(wishes, apart=not prepared.folds),
        stages=(shape,),
        videos=VideoConfig(tint=TINT),
        synthesis=SynthesisConfig(),
    )


def _sources(wishes: FinetuneOptions, *, apart: bool) -> tuple[Source, ...]:
    """The team's videos, and synthetic clips: of its own frames, and of other photographs where they are given."""
    validation = f"{DATA}/validation" if apart else ""
    team = Source(kind="sparse", folder=f"{DATA}/train", validation=validation, weight=TEAM)
    if wishes.stills is None:
        return team, Source(folder=f"{DATA}/stills", weight=TEAM_STILLS + OTHER_STILLS)
    return (
        team,
        Source(folder=f"{DATA}/stills", weight=TEAM_STILLS),
        Source(folder=str(wishes.stills.resolve()), weight=OTHER_STILLS),
    )


def _clip_size(prepared: PreparedFolder, longest: int) -> tuple[int, int]:
    """(height, width) in multiples of 32 with the proportions of the team's first frame."""
    from agss_model.video.images import read_image

    first = next(iter(sorted((prepared.root / "train" / "JPEGImages").rglob("*.jpg"))), None)
    if first is None:
        raise ConfigError(f"{prepared.root} holds no frame to learn from; remove it to prepare it anew")
    height, width = read_image(first).shape[:2]
    return clip_size(height, width, longest)


def _with_steps(run: RunConfig, steps: int) -> RunConfig:
    stage = dataclasses.replace(run.stages[0], steps=steps)
    return dataclasses.replace(run, stages=(stage,), patience=_patience(steps) if run.patience else 0)


def _validate_every(steps: int) -> int:
    return min(steps, max(10, steps // 12))


def _patience(steps: int) -> int:
    return 5 * _validate_every(steps)


def _timed(run: RunConfig, out: Path) -> Mapping[str, float]:
    """Seconds of a step on this machine, validation included, and of everything before the first one."""
    began = time.perf_counter()
    sources = open_sources(run, out)
    step_time = seconds_per_step(Trainer(run, sources.training))
    started = time.perf_counter() - began - TIMED * step_time
    # A validation does the forward passes of its batches, about a third of a step each.
    validation = run.validation.steps * step_time / 3 / _validate_every(run.total_steps)
    return {"start": started, "step": step_time + validation}


def as_text(made: TrainingPlan, prepared: PreparedFolder) -> list[str]:
    """What will be done, in sentences."""
    record: dict[str, Any] = prepared.record
    run, shape = made.run, made.run.stages[0].shape
    lines = [f"learning from {prepared.annotated('train')} annotated frames of {', '.join(record['train'])}"]
    size = f"steps of {shape.batch} clips x {shape.frames} frames at {shape.width}x{shape.height}"
    if made.folds:
        turns = "; ".join(f"{number}. {', '.join(names)}" for number, names in enumerate(prepared.folds, 1))
        lines += [
            f"left out in turn: {turns}",
            *record["notes"],
            f"{made.folds} trainings of {run.total_steps} {size}, then one of as many steps as were best in the mean",
        ]
        ending = ""
    else:
        lines += [
            f"held out for the gate: {prepared.annotated('held_out')} annotated frames of "
            f"{', '.join(record['held_out'])}",
            *record["notes"],
            f"{run.total_steps} {size}",
        ]
        ending = "; it may stop earlier, when validation no longer improves"
    if made.seconds:
        lines.append(
            f"about {made.seconds / 60:.0f} minutes at most on this machine ({made.seconds_per_step:.2f} s a step)"
            + ending
        )
    return lines
