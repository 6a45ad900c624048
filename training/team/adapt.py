"""Learn from a clip's own human frames before it is tracked; "OL", online learning, in the tables of the paper.

Synthetic clips whose objects and scenes are those of the human frames teach a network what these objects look like when
they move, turn and hide one another (after Khoreva et al., Lucid Data Dreaming, 2017); where there are several human
frames the real change between them does so too, and frames that nobody drew on keep what the weights can do already
(`training.team.guesses`). What is learned is used only where it is better: on other synthetic clips or, with several
human frames, on one that was held out; and on the clip itself, tracked away from a human mask and back to it. That
also says whether all of the change is used or half of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from agss_model.bounded_json import read_json
from agss_model.errors import ConfigError
from agss_model.files import opened, remove_leftovers, write_json
from agss_model.masks.labels import LabelMap
from agss_model.runs.reporting import Report
from agss_model.system.interruption import Interruption
from agss_model.video.source import FrameSource
from agss_model.weights.files import read_weights, save_weights
from agss_model.weights.registry import digest_of, locate
from training.annotations.prepare import TRAIN_SIDE
from training.data.clips import ClipSource
from training.data.sparse import VideoInMemory
from training.data.stills import load_stills
from training.loop import checkpoints
from training.loop.monitor import Every
from training.loop.recurrent import RecurrentConfig
from training.loop.settings import RunConfig, Stage
from training.loop.timing import seconds_per_step
from training.loop.trainer import Trainer
from training.loop.validation import clips_of, mean_iou
from training.team.adapted import HALF, AdaptConfig, Adapted, read_adapted
from training.team.clip_lessons import Lessons, read_lessons
from training.team.guesses import guess
from training.team.round_trip import Trips, ready, round_trip, share_of

STEPS = 80
FEWEST = 10
"""Steps below which nothing is learned, whatever the time."""
EXAMS = 6
"""Times that a human frame that is held out is looked at: it says how many steps are good."""
GLANCES = 2
"""The same of synthetic clips: they only say whether anything was learned, and get better for longer than the clip."""
RATE = 3e-4
BLOCKS = 5
"""Of the encoder that stay as they are; what a picture's edges look like need not be learned from one clip."""
OTHER_STILLS = 400
"""Photographs of other things to paste in, at most: what hides objects and must not be taken for them."""
SAVE_SECONDS = 20
FIRST = "first.json"


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
    _start(weights)
    lessons = read_lessons(source, label_maps)
    name = _name(digest_of(weights), lessons, len(source), config)
    record = folder / f"adapted-{name}.json"
    remove_leftovers(folder)
    clip = _Adaptation(weights, source, label_maps, lessons, folder / f"adapting-{name}", report)
    if record.is_file():
        shutil.rmtree(clip.work, ignore_errors=True)  # killed before the end
        return read_adapted(record)
    with opened(clip.work), Interruption() as stop:
        found = _learn(clip, config, stop)
    adapted = Adapted(weights, False, found.steps, found.before, found.after, found.held_out)
    if found.file is not None:
        adapted = _used(clip, adapted, found.file, folder / f"adapted-{name}.safetensors")
    write_json(record, dataclasses.asdict(adapted))
    shutil.rmtree(clip.work, ignore_errors=True)
    return adapted


@dataclass(frozen=True)
class _Adaptation:
    """What is learned from, with which weights, and the folder for what is not kept."""

    weights: str
    source: FrameSource
    label_maps: Mapping[int, LabelMap]
    lessons: Lessons
    work: Path
    report: Report

    def guesses(self, lessons: Lessons) -> list[VideoInMemory]:
        """Around the human frames of the lessons."""
        maps = {number: self.label_maps[number] for number in lessons.label_maps}
        return guess(self.source, maps, ready(self.weights), TRAIN_SIDE)


def _used(clip: _Adaptation, adapted: Adapted, learned: Path, file: Path) -> Adapted:
    """All, half or nothing of the change, as tracking there and back has it; what is used is written to `file`."""
    first, config, _ = read_weights(_start(clip.weights))
    last, _, _ = read_weights(learned)
    half = {name: first[name].float().lerp(tensor.float(), HALF) for name, tensor in last.items()}
    middle = clip.work / "half.safetensors"
    save_weights(middle, half, config, {})
    trips = _trips((clip.weights, str(middle), str(learned)), clip.source, clip.label_maps)
    share = share_of(trips, sure=len(clip.lessons.label_maps) > 1)
    adapted = dataclasses.replace(adapted, share=share, there_and_back=trips)
    if not share:
        return adapted
    about = {"adapted_from": clip.weights, "adapted_from_sha256": digest_of(clip.weights), "share": str(share)}
    about |= {"steps": str(adapted.steps), "frames": " ".join(map(str, sorted(clip.lessons.label_maps)))}
    save_weights(file, half if share == HALF else last, config, about, torch.float16)
    return dataclasses.replace(adapted, weights=str(file), learned=True)


def _trips(weights: tuple[str, str, str], source: FrameSource, maps: Mapping[int, LabelMap]) -> Trips:
    first, half, last = (round_trip(source, maps, ready(name)) for name in weights)
    return first, half, last


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


def _name(digest: str, lessons: Lessons, frames: int, config: AdaptConfig) -> str:
    about = {**dataclasses.asdict(config), "stills": str(config.stills), "frames": frames}
    return hashlib.sha256(json.dumps([digest, lessons.digest(), about]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Found:
    """What learning came to; `file` is None where the first weights are the best."""

    file: Path | None
    steps: int
    before: float
    after: float
    held_out: str


def _learn(clip: _Adaptation, config: AdaptConfig, stop: Interruption) -> _Found:
    """With several human frames first from all but one, which says how many steps are good; then from all."""
    began, lessons = time.monotonic(), clip.lessons
    side = config.size or (640 if torch.cuda.is_available() else 448)
    others = None if config.stills is None else load_stills(config.stills, shards=1, size=side, limit=OTHER_STILLS)
    spared = lessons.held_out()
    trial = lessons if spared is None else spared[0]
    run = _settings(_start(clip.weights), trial, side, config)
    own = trial.clips(side, others)
    exam, words = (own, "other clips made of the same masks") if spared is None else spared[1:]
    clips = trial.clips(side, others, clip.guesses(trial))
    passes, looks = (1, GLANCES) if spared is None else (2, EXAMS)
    left = config.minutes / passes - (time.monotonic() - began) / 60
    steps = config.steps or _affordable(run, clips, clip.work, left, looks)
    run = dataclasses.replace(run, stages=(dataclasses.replace(run.stages[0], steps=steps),))
    clip.report.note(f"learning from the clip's own masks, at most {passes} x {steps} steps; Ctrl-C uses what there is")
    trainer = _run(Trainer(run, clips), exam, clip.work / "trial", clip.report, stop, looks)
    before = _first_score(clip.work / "trial")
    best = _Found(clip.work / "trial" / "best.safetensors", trainer.best_step, before, trainer.best, words)
    if trainer.best_step == 0:
        return dataclasses.replace(best, file=None)
    if spared is None:
        return dataclasses.replace(best, file=clip.work / "trial" / "latest.safetensors", steps=trainer.step)
    if stop.asked:
        return best
    last = dataclasses.replace(run, stages=(dataclasses.replace(run.stages[0], steps=trainer.best_step),))
    every = lessons.clips(side, others, clip.guesses(lessons))
    final = _run(Trainer(last, every), None, clip.work / "final", clip.report, stop)
    if final.step < trainer.best_step:
        return best
    return dataclasses.replace(best, file=clip.work / "final" / "latest.safetensors")


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


def _affordable(run: RunConfig, clips: ClipSource, work: Path, minutes: float, looks: int) -> int:
    """Steps that fit in so many minutes on this machine, timed once for a work folder."""
    plan = work / "plan.json"
    if plan.is_file():
        return int(read_json(plan)["steps"])
    seconds = seconds_per_step(Trainer(run, clips))
    exams = looks * run.validation.steps * seconds  # forward only, but of more frames
    steps = max(FEWEST, min(run.total_steps, int((60 * minutes - exams) / seconds)))
    work.mkdir(parents=True, exist_ok=True)
    write_json(plan, {"steps": steps, "seconds_per_step": seconds})
    return steps


def _run(
    trainer: Trainer, exam: ClipSource | None, out: Path, report: Report, stop: Interruption, looks: int = EXAMS
) -> Trainer:
    """Train to the end, or until someone asks to stop; the best weights by the exam are in `best.safetensors`."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoints.resume(trainer, out)
    total = trainer.run.total_steps
    clips = [] if exam is None else clips_of(exam, trainer.run.validation, str(trainer.accelerator.device))
    every, save = max(1, -(-total // looks)), Every(SAVE_SECONDS)
    if clips and trainer.step == 0:
        score = mean_iou(trainer.averaged(), clips)
        write_json(out / FIRST, {"iou": score})
        checkpoints.keep_best(trainer, out, score)
    with report.progress("learning", total, trainer.step, "steps") as progress:
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
