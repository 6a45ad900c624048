"""Carry a fine-tuning out. Of few videos each is left out once: that chooses the steps, then all are learned from.

Every training is a run folder of its own, so that the same call goes on after an interruption: `RUN/folds/N` leave
something out, `RUN` is the last one. The trainings differ in their data alone, and the last one stops on the way of the
same schedule, so that what was left out tells about it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from agss_model.bounded_json import read_json
from agss_model.errors import ConfigError
from agss_model.files import opened, write_bytes, write_json
from agss_model.weights.files import read_weights, save_weights
from training.annotations.prepare import PreparedFolder
from training.loop import checkpoints
from training.loop.monitor import LOG, scores_in
from training.team.finetune import TrainingPlan
from training.train import Options, train

OUTCOME = "outcome.json"
CURVE = "curve.json"
CHOSEN = "chosen.safetensors"
"""Weights of a fold at the chosen step, in half precision as all that is published."""
SAVE_SECONDS = 30
NOTHING = "nothing learned"
ADVICE = "there is nothing to publish; annotate more frames, or more different videos"

Curve = dict[int, float]
"""IoU on what was not learned from, by step; that of the first weights at 0."""


@dataclass(frozen=True)
class FoldsOutcome:
    """What a run came to.

    Attributes:
        steps: behind its best weights; 0 where the first ones are the best.
        curve: by which they were chosen; with folds the mean of theirs.
        folds: what each left out, and its curve.
    """

    steps: int
    curve: Curve
    folds: tuple[tuple[tuple[str, ...], Curve], ...] = ()

    @property
    def learned(self) -> bool:
        """Whether there are better weights than the first ones."""
        return self.steps > 0

    def sentence(self) -> str:
        """The outcome in a sentence."""
        on = "what was left out in turn" if self.folds else "the validation videos"
        before, later = self.curve.get(0, 0.0), {step: iou for step, iou in self.curve.items() if step}
        if self.learned:
            return (
                f"learned in {self.steps} steps: IoU {before:.3f} before, {self.curve[self.steps]:.3f} after, on {on}"
            )
        best = f", {max(later.values()):.3f} at best after it" if later else ""
        return f"{NOTHING}: IoU {before:.3f} before the first step{best}, on {on}; {ADVICE}"

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `read_outcome` reads them."""
        return {
            "outcome": "learned" if self.learned else NOTHING,
            "steps": self.steps,
            "curve": self.curve,
            "folds": [{"left_out": list(names), "curve": curve} for names, curve in self.folds],
        }


def read_outcome(run: Path) -> FoldsOutcome | None:
    """The outcome of a run, None where it has not come to its end.

    Raises:
        ConfigError: the record is damaged.
    """
    path = run / OUTCOME
    try:
        found = read_json(path)
        folds = tuple((tuple(map(str, fold["left_out"])), _curve(fold["curve"])) for fold in found["folds"])
        return FoldsOutcome(int(found["steps"]), _curve(found["curve"]), folds)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is damaged ({error!r}); remove it, and fine-tune again with the same --out"
        ) from error


def _curve(values: Mapping[str, float]) -> Curve:
    return {int(step): float(iou) for step, iou in values.items()}


def learn(
    made: TrainingPlan, prepared: PreparedFolder, out: Path, say: Callable[[str], None] = print
) -> FoldsOutcome | None:
    """Carry out, or go on with, a plan; None where somebody stopped it, and the same call goes on.

    Args:
        made: see `training.team.finetune.plan`.
        prepared: the data, in `out/data`.
        out: folder of the run.
        say: for a line a training.

    Raises:
        AgssError: the data or the folder cannot be used, or the loss is no number.
    """
    found = _in_turn(made, prepared, out, say) if made.folds else _kept_apart(made, out)
    if found is not None:
        with opened(out):
            write_json(out / OUTCOME, found.to_dict())
    return found


def _kept_apart(made: TrainingPlan, out: Path) -> FoldsOutcome | None:
    options = Options(data=out, out=out, validate_every=made.validate_every, save_seconds=SAVE_SECONDS)
    trainer = train(made.run, options)
    if not trainer.settled and trainer.step < made.run.total_steps:
        return None
    return FoldsOutcome(trainer.best_step, scores_in(out / LOG, "validation", "iou"))


def _in_turn(
    made: TrainingPlan, prepared: PreparedFolder, out: Path, say: Callable[[str], None]
) -> FoldsOutcome | None:
    curves = list[Curve]()
    for number, left_out in enumerate(prepared.folds, 1):
        say(f"training {number} of {made.folds + 1} leaves out {', '.join(left_out)}")
        curve = _fold(made, out, number)
        if curve is None:
            return None
        curves.append(curve)
    steps, mean = choose(curves)
    for number in range(1, made.folds + 1):
        folder = fold_folder(out, number)
        with opened(folder):
            _keep(folder, steps)
    if steps:
        say(f"training {made.folds + 1} of {made.folds + 1} learns from all, {steps} steps")
        options = Options(data=out, out=out, steps=steps, validate_every=0, save_seconds=SAVE_SECONDS)
        if train(made.run, options).step < steps:
            return None
        with opened(out):
            write_bytes(out / "best.safetensors", (out / "latest.safetensors").read_bytes())
    return FoldsOutcome(
        steps, mean, tuple((tuple(names), curve) for names, curve in zip(prepared.folds, curves, strict=True))
    )


def fold_folder(out: Path, number: int) -> Path:
    """Run folder of a training in which something is left out; they count from 1."""
    return out / "folds" / str(number)


def _fold(made: TrainingPlan, out: Path, number: int) -> Curve | None:
    """The curve of a training in which something is left out; one that has been finished is not opened again."""
    folder = fold_folder(out, number)
    record = folder / CURVE
    if record.is_file():
        try:
            return _curve(read_json(record))
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ConfigError(f"{record} is damaged ({error!r}); remove it, and it is made anew") from error
    every, total = made.validate_every, made.run.total_steps
    last = total - total % every
    options = Options(
        data=out, out=folder, steps=last, validate_every=every, keep_validated=True, save_seconds=SAVE_SECONDS
    )
    if train(made.fold(number), options).step < last:
        return None
    curve = scores_in(folder / LOG, "validation", "iou")
    with opened(folder):
        write_json(record, curve)
    return curve


def choose(curves: Sequence[Curve]) -> tuple[int, Curve]:
    """The step at which the mean is best, the earliest of several; and the mean, at the steps that all have.

    Args:
        curves: of every fold, each with step 0.
    """
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    mean = {step: statistics.fmean(curve[step] for curve in curves) for step in common}
    return max(common, key=lambda step: (mean[step], -step)), mean


def _keep(folder: Path, steps: int) -> None:
    """Keep the weights of the chosen step, out of those of all validations."""
    source = folder / f"{checkpoints.validated(steps)}.safetensors"
    if steps and source.is_file():
        state, config, metadata = read_weights(source)
        save_weights(folder / CHOSEN, state, config, metadata, dtype=torch.float16)
    for path in folder.glob(f"{checkpoints.validated(0)[:-6]}*"):
        path.unlink()
