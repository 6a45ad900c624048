"""Train a network: one visible loop, the same on a laptop, a GPU and several hosts (through accelerate).

python -m training.train training/runs/lite-cpu.toml --data STILLS --out runs/lite
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from agss_model.errors import AgssError, OutputError
from agss_model.files import opened, write_json
from agss_model.system.allocator import keep_freed_memory
from agss_model.system.environment import commit, machine, versions
from agss_model.system.interruption import Interruption
from training.loop import checkpoints
from training.loop.contact_sheet import draw
from training.loop.monitor import Every, Monitor
from training.loop.settings import RunConfig, read_run, rehearsal, to_dict
from training.loop.sources import Sources, batches, open_sources
from training.loop.trainer import BrokenStepError, Trainer, new_accelerator, parameters_of
from training.loop.validation import clips_of, j_and_f, mean_iou, predicted

if TYPE_CHECKING:
    from accelerate import Accelerator

REHEARSED_STILLS = 64


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is carried out; nothing here changes its result.

    Attributes:
        data: folder that the run's sources are below.
        out: folder of checkpoints and logs.
        minutes: stop, resumable, after so many; 0 for never.
        steps: stop, resumable, after so many in all; 0 for the run's.
        keep_validated: keep the weights of every validation, see `training.loop.checkpoints.validated`.
        save_seconds: between checkpoints.
        log_seconds: between lines of log; 0 for a line at every step.
        validate_every: steps between validations; 0 for never.
        images: show a validation clip in TensorBoard.
        eval_data: annotated data set in DAVIS' layout, to be measured on.
        eval_every: steps between measurements there.
        eval_sequences: only these; empty for all.
        limit: stills to load, None for all.
    """

    data: Path
    out: Path
    minutes: float = 0
    steps: int = 0
    keep_validated: bool = False
    save_seconds: float = 60
    log_seconds: float = 10
    validate_every: int = 500
    images: bool = False
    eval_data: Path | None = None
    eval_every: int = 1000
    eval_sequences: list[str] = field(default_factory=list)
    limit: int | None = None


def train(run: RunConfig, options: Options) -> Trainer:
    """Train, or go on with, a run.

    Raises:
        AgssError: the settings, the data or the folder cannot be used, another run is at work there, or the loss is no
            number.
    """
    _make_folder(options.out)
    accelerator = new_accelerator(run)
    with opened(options.out) if accelerator.is_main_process else nullcontext():
        return _train(run, options, accelerator)


def _train(run: RunConfig, options: Options, accelerator: Accelerator) -> Trainer:
    out = options.out
    if accelerator.device.type == "cpu":
        keep_freed_memory(all_of_it=True)
    sources = open_sources(run, options.data, limit=options.limit, device=str(accelerator.device))
    trainer = Trainer(run, sources.training, accelerator)
    checkpoints.resume(trainer, out)
    if trainer.step == 0:
        trainer.standardise()
    last = min(run.total_steps, options.steps or run.total_steps)
    deadline = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    main = trainer.accelerator.is_main_process
    with (
        Monitor(out, trainer.step, last, options.log_seconds, active=main) as monitor,
        Interruption() as stop,
    ):
        _introduce(trainer, sources, options, monitor)
        validate = _validation(trainer, sources, options, monitor)
        if run.patience and trainer.step == 0:
            validate()
        end = trainer.step if trainer.settled else last
        save = Every(options.save_seconds)
        for clips in batches(trainer.batch, trainer.step, end, run.prefetch):
            try:
                loss, iou = trainer.train_step(clips)
            except BrokenStepError as error:
                raise error.saved_in(out) from error
            monitor.step(trainer.step, loss, iou, trainer.optimizer.param_groups[0]["lr"])
            validate()
            if save.due():
                _save_or_warn(trainer, out, monitor)
            if trainer.settled or trainer.agreed(stop.asked or time.monotonic() > deadline):
                break
        checkpoints.save(trainer, out)
        monitor.say(_farewell(trainer, last))
    return trainer


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made ({error.strerror}); choose another --out.") from error


def _introduce(trainer: Trainer, sources: Sources, options: Options, monitor: Monitor) -> None:
    """Say, and keep beside the weights, what is trained on what, where and with which versions."""
    run = trainer.run
    monitor.say(f"{sources.counts}, skipped {sources.skipped or 'none'}")
    monitor.say(f"{parameters_of(trainer.network)} trained parameters; step {trainer.step} of {run.total_steps}")
    if not trainer.accelerator.is_main_process:
        return
    import accelerate

    about = {
        "data": sources.counts,
        "skipped": sources.skipped,
        "machine": machine(trainer.accelerator.device) | {"processes": trainer.accelerator.num_processes},
        "versions": versions() | {"accelerate": accelerate.__version__},
        "commit": commit(),
    }
    write_json(options.out / "run.json", to_dict(run))
    write_json(options.out / "provenance.json", about)


def _validation(trainer: Trainer, sources: Sources, options: Options, monitor: Monitor) -> Callable[[], None]:
    """What is to be done after each step: measure when it is time."""
    held_out = sources.validation if options.validate_every else None
    stage, device = trainer.run.validation, str(trainer.accelerator.device)
    clips = clips_of(held_out, stage, device) if held_out is not None else []

    def after_step() -> None:
        step = trainer.step
        if clips and step % options.validate_every == 0:
            score = mean_iou(trainer.averaged(), clips)
            monitor.scores(step, "validation", {"iou": score})
            checkpoints.keep_best(trainer, options.out, score)
            if options.keep_validated and trainer.accelerator.is_main_process:
                checkpoints.export(trainer, options.out, checkpoints.validated(step))
            if options.images:
                monitor.picture(step, "validation", draw(clips[0], predicted(trainer.averaged(), clips[0])))
        if options.eval_data is not None and step % options.eval_every == 0 and trainer.accelerator.is_main_process:
            monitor.scores(step, "J&F", j_and_f(trainer, options.eval_data, options.eval_sequences or None))

    return after_step


def _farewell(trainer: Trainer, last: int) -> str:
    if trainer.settled:
        return f"stopped at step {trainer.step}: the weights of step {trainer.best_step} validated best"
    if trainer.step >= last:
        return f"finished all {trainer.step} steps" + (" asked for" if last < trainer.run.total_steps else "")
    return f"stopped at step {trainer.step} of {trainer.run.total_steps}; the same command goes on from there"


def _save_or_warn(trainer: Trainer, out: Path, monitor: Monitor) -> None:
    """A full disk need not end a long run: there may be space again the next time."""
    try:
        checkpoints.save(trainer, out)
    except OutputError as error:
        monitor.say(f"warning: {error} Training goes on.")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train, or go on with, a run.")
    parser.add_argument("settings", type=Path, help="TOML file of the run")
    parser.add_argument("--data", type=Path, required=True, help="folder with stills-*.tar, or what the sources name")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the run")
    parser.add_argument("--rehearse", action="store_true", help="the same in small, 20 steps: does it all go through?")
    parser.add_argument("--minutes", type=float, default=0, help="stop, resumable, after so many; 0 for never")
    parser.add_argument("--steps", type=int, default=0, help="stop, resumable, after so many in all; 0 for the run's")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for the default")
    parser.add_argument("--save-seconds", type=float, default=60, help="between checkpoints")
    parser.add_argument("--log-seconds", type=float, default=10, help="between lines of log; 0 for every step")
    parser.add_argument("--validate-every", type=int, default=500, help="steps; 0 for never")
    parser.add_argument("--images", action="store_true", help="show a validation clip in TensorBoard")
    parser.add_argument("--eval-data", type=Path, help="data set in DAVIS' layout to measure J&F on")
    parser.add_argument("--eval-every", type=int, default=1000, help="steps between those measurements")
    parser.add_argument("--eval-sequences", default="", help="only these, separated by commas")
    given = vars(parser.parse_args(arguments))
    settings, changes, threads = given.pop("settings"), given.pop("set"), given.pop("threads")
    rehearse = given.pop("rehearse")
    given["eval_sequences"] = [name for name in given["eval_sequences"].split(",") if name]
    if threads:
        torch.set_num_threads(threads)
    try:
        run = read_run(settings, changes)
        if rehearse:
            run, given = rehearsal(run), {**given, "limit": REHEARSED_STILLS, "validate_every": 10}
        train(run, Options(**given))
    except AgssError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
