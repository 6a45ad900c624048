"""Learn from a clip's own human frames before it is tracked; "OL", online learning, in the tables of the paper.

Synthetic clips whose objects and scenes are those of the human frames teach a network what these objects look like when
they move, turn and hide one another (after Khoreva et al., Lucid Data Dreaming, 2017); where there are several human
frames the real change between them does so too. What is learned is used only where it is better: on other
synthetic clips or, with several human frames, on one that was held out; and on the clip itself, tracked away from a
human mask and back to it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from agss_model.bounded_json import read_json
from agss_model.engines import use_engine
from agss_model.engines.loading import pick_device
from agss_model.errors import ConfigError
from agss_model.files import opened, remove_leftovers, write_json
from agss_model.interruption import Interruption
from agss_model.masks.labels import LabelMap
from agss_model.runs.reporting import Report
from agss_model.video.source import FrameSource
from agss_model.weights.files import read_weights, save_weights
from agss_model.weights.registry import digest_of, load_model, locate
from training.data.clips import ClipSource
from training.data.stills import load_stills
from training.loop import checkpoints
from training.loop.monitor import Every
from training.loop.recurrent import RecurrentConfig
from training.loop.settings import RunConfig, Stage
from training.loop.timing import seconds_per_step
from training.loop.trainer import Trainer
from training.loop.validation import clips_of, mean_iou
from training.team.clip_lessons import Lessons, read_lessons
from training.team.round_trip import round_trip

STEPS = 80
FEWEST = 10
"""Steps below which nothing is learned, whatever the time."""
EXAMS = 6
"""Times that what is held out is looked at."""
RATE = 3e-4
BLOCKS = 5
"""Of the encoder that stay as they are; what a picture's edges look like need not be learned from one clip."""
OTHER_STILLS = 400
"""Photographs of other things to paste in, at most: what hides objects and must not be taken for them."""
SAVE_SECONDS = 20
FIRST = "first.json"
CLEARLY = 0.75
"""Share of the round trip's error that may be left where only synthetic clips speak for what was learned. Without it
some clips lose much: a scooter that comes nearer fell from J 0.81 to 0.66, while its synthetic clips got better."""


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
        there_and_back: IoU after a round trip from a human mask, with the weights it began with and with what was
            learned, see `training.team.round_trip`; zeros where the first weights had been the best before.
    """

    weights: str
    learned: bool
    steps: int
    before: float
    after: float
    held_out: str
    there_and_back: tuple[float, float] = (0.0, 0.0)

    def sentence(self) -> str:
        """The outcome in a sentence."""
        change = f"IoU {self.before:.3f} before, {self.after:.3f} after, on {self.held_out}"
        if any(self.there_and_back):
            change += "; {:.3f} and {:.3f} tracked there and back".format(*self.there_and_back)
        if self.learned:
            return f"learned from the clip's own masks in {self.steps} steps ({change})."
        return f"nothing better was learned from the clip's own masks ({change}); the weights stay as they were."


def adapt(
    weights: str,
    source: FrameSource,
    label_maps: Mapping[int, LabelMap],
    folder: Path,
    report: Report,
    config: AdaptConfig | None = None,
) -> Adapted:
    """Learn from a clip's human frames; what was learned before from the same ones is found again.

    Ctrl-C ends the learning and what was best so far is used; after a kill the same call goes on.

    Args:
        weights: name or file of the weights to begin with, of `lite`.
        source: the clip.
        label_maps: (H, W) by frame number, drawn by a human.
        folder: for what is learned, a few megabytes for each set of masks.
        report: where to speak.
        config: how.

    Raises:
        ConfigError: the weights are of another network.
        MaskError: no object is large enough to learn from.
        WeightsError: the weights cannot be had.
    """
    config = config or AdaptConfig()
    start, lessons = _start(weights), read_lessons(source, label_maps)
    name = _name(digest_of(weights), lessons, config)
    record = folder / f"adapted-{name}.json"
    work = folder / f"adapting-{name}"
    remove_leftovers(folder)
    if record.is_file():
        shutil.rmtree(work, ignore_errors=True)  # killed before the end
        return _recorded(record)
    with opened(work), Interruption() as stop:
        found = _learn(start, lessons, work, report, config, stop)
    adapted = Adapted(weights, False, found.steps, found.before, found.after, found.held_out)
    if found.file is not None:
        adapted = dataclasses.replace(adapted, there_and_back=_trips(weights, found.file, source, label_maps))
    if found.file is not None and _holds(adapted, sure=len(lessons.label_maps) > 1):
        file = folder / f"adapted-{name}.safetensors"
        state, network, _ = read_weights(found.file)
        about = {"adapted_from": weights, "adapted_from_sha256": digest_of(weights), "steps": str(found.steps)}
        about["frames"] = " ".join(map(str, sorted(lessons.label_maps)))
        save_weights(file, state, network, about, torch.float16)
        adapted = dataclasses.replace(adapted, weights=str(file), learned=True)
    write_json(record, dataclasses.asdict(adapted))
    shutil.rmtree(work, ignore_errors=True)
    return adapted


def _trips(weights: str, learned: Path, source: FrameSource, maps: Mapping[int, LabelMap]) -> tuple[float, float]:
    device = pick_device("auto")
    networks = load_model(weights, device), load_model(str(learned), device)
    for network in networks:
        use_engine(network, "auto")
    return round_trip(source, maps, networks[0]), round_trip(source, maps, networks[1])


def _holds(adapted: Adapted, *, sure: bool) -> bool:
    """Whether the round trip speaks for what was learned; it must do so clearly unless a human frame does already."""
    old, new = (1 - iou for iou in adapted.there_and_back)
    return new <= old * (1.0 if sure else CLEARLY)


def adapted_weights(
    weights: str,
    source: FrameSource,
    label_maps: Mapping[int, LabelMap],
    folder: Path,
    report: Report,
    minutes: float,
) -> str:
    """See `agss_model.adaptation.Adapter`."""
    adapted = adapt(weights, source, label_maps, folder, report, AdaptConfig(minutes=minutes))
    report.note(adapted.sentence())
    return adapted.weights


def _start(weights: str) -> Path:
    path, expected = locate(weights)
    _, config, _ = read_weights(path, expected)
    if config.architecture != "lite":
        raise ConfigError(f"{weights} is a network of the kind {config.architecture}; only lite learns from a clip")
    return path


def _name(digest: str, lessons: Lessons, config: AdaptConfig) -> str:
    asked = json.dumps([digest, lessons.digest(), {**dataclasses.asdict(config), "stills": str(config.stills)}])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _recorded(record: Path) -> Adapted:
    try:
        values = read_json(record)
        found = Adapted(**values | {"there_and_back": tuple(values["there_and_back"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{record} is damaged ({error!r}); remove it, and the clip is learned again") from error
    if found.learned and not Path(found.weights).is_file():
        raise ConfigError(f"{found.weights} is gone; remove {record} too, and the clip is learned again")
    return found


@dataclass(frozen=True)
class _Found:
    """What learning came to; `file` is None where the first weights are the best."""

    file: Path | None
    steps: int
    before: float
    after: float
    held_out: str


def _learn(
    start: Path, lessons: Lessons, work: Path, report: Report, config: AdaptConfig, stop: Interruption
) -> _Found:
    """With several human frames first from all but one, which says how many steps are good; then from all."""
    side = config.size or (640 if torch.cuda.is_available() else 448)
    others = None if config.stills is None else load_stills(config.stills, shards=1, size=side, limit=OTHER_STILLS)
    spared = lessons.held_out()
    trial = lessons if spared is None else spared[0]
    run = _settings(start, trial, side, config)
    clips = trial.clips(side, others)
    exam, words = (clips, "other clips made of the same masks") if spared is None else spared[1:]
    passes = 1 if spared is None else 2
    steps = config.steps or _affordable(run, clips, work, config.minutes / passes)
    run = dataclasses.replace(run, stages=(dataclasses.replace(run.stages[0], steps=steps),))
    report.note(f"learning from the clip's own masks, at most {passes} x {steps} steps; Ctrl-C uses what there is")
    trainer = _run(Trainer(run, clips), exam, work / "trial", report, stop)
    before = _first_score(work / "trial")
    best = _Found(work / "trial" / "best.safetensors", trainer.best_step, before, trainer.best, words)
    if trainer.best_step == 0:
        return dataclasses.replace(best, file=None)
    if spared is None or stop.asked:
        return best
    last = dataclasses.replace(run, stages=(dataclasses.replace(run.stages[0], steps=trainer.best_step),))
    final = _run(Trainer(last, lessons.clips(side, others)), None, work / "final", report, stop)
    if final.step < trainer.best_step:
        return best
    return dataclasses.replace(best, file=work / "final" / "latest.safetensors")


def _settings(start: Path, lessons: Lessons, side: int, config: AdaptConfig) -> RunConfig:
    gpu = torch.cuda.is_available()
    _, network, _ = read_weights(start)
    return RunConfig(
        preset=network.architecture,
        network=network.changes(),
        init=str(start),
        seed=config.seed,
        lr=RATE,
        encoder_lr=RATE / 10,
        frozen_blocks=BLOCKS,
        warm_up=10,
        ema=0.95,
        still_size=side,
        validation=Stage(steps=4, batch=2, size=lessons.size(side), frames=6),
        mixed_precision="bf16" if gpu else "no",
        recurrent=RecurrentConfig(mistaken=0.05),
        stages=(Stage(steps=STEPS, batch=8 if gpu else 2, size=lessons.size(side), frames=4),),
    )


def _affordable(run: RunConfig, clips: ClipSource, work: Path, minutes: float) -> int:
    """Steps that fit in so many minutes on this machine, timed once for a work folder."""
    plan = work / "plan.json"
    if plan.is_file():
        return int(read_json(plan)["steps"])
    seconds = seconds_per_step(Trainer(run, clips))
    exams = EXAMS * run.validation.steps * seconds  # forward only, but of more frames
    steps = max(FEWEST, min(run.total_steps, int((60 * minutes - exams) / seconds)))
    work.mkdir(parents=True, exist_ok=True)
    write_json(plan, {"steps": steps, "seconds_per_step": seconds})
    return steps


def _run(trainer: Trainer, exam: ClipSource | None, out: Path, report: Report, stop: Interruption) -> Trainer:
    """Train to the end, or until someone asks to stop; the best weights by the exam are in `best.safetensors`."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoints.resume(trainer, out)
    total = trainer.run.total_steps
    clips = [] if exam is None else clips_of(exam, trainer.run.validation, str(trainer.accelerator.device))
    every, save = max(1, -(-total // EXAMS)), Every(SAVE_SECONDS)
    if clips and trainer.step == 0:
        score = mean_iou(trainer.averaged(), clips)
        write_json(out / FIRST, {"iou": score})
        checkpoints.keep_best(trainer, out, score)
    with report.progress("learning", total, trainer.step) as progress:
        while trainer.step < total and not stop.asked:
            trainer.train_step(trainer.batch(trainer.step))
            progress.advance()
            if clips and (trainer.step % every == 0 or trainer.step == total):
                checkpoints.keep_best(trainer, out, mean_iou(trainer.averaged(), clips))
            if save.due():
                checkpoints.save(trainer, out)
    checkpoints.save(trainer, out)
    return trainer


def _first_score(out: Path) -> float:
    return float(read_json(out / FIRST)["iou"])
