"""What a run says while it goes on: lines of log, TensorBoard, a progress bar on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from agss_model.files import write_bytes

LOG = "log.jsonl"


class Every:
    """True once every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the time has come again."""
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


class Monitor:
    """Collects the numbers of the steps; in other processes than the first it is silent.

    Args:
        out: folder of the run.
        step: number of steps done before; later lines of an interrupted run are dropped.
        total: steps of the whole run.
        seconds: between lines of log; 0 for a line at every step.
        active: False in other processes than the first.
    """

    def __init__(self, out: Path, step: int, total: int, seconds: float, *, active: bool = True) -> None:
        self.out, self.active, self._every = out, active, Every(seconds)
        self._steps: list[tuple[float, float]] = []
        self._since = time.monotonic()
        self._at, self._rate = step, 0.0
        self._board: Any = None
        self._bar: _Bar | None = None
        if active:
            _drop_later(out / LOG, step)
            self._board = _tensorboard(out, step, self.say)
            self._bar = _Bar(step, total) if sys.stdout.isatty() else None

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        if self._board is not None:
            self._board.close()
        if self._bar is not None:
            self._bar.close()

    def say(self, text: str) -> None:
        """A line for people."""
        if self.active:
            print(text, flush=True)

    def step(self, step: int, loss: float, iou: float, rate: float) -> None:
        """Note a step; every now and then their means become a line.

        Args:
            step: number of steps done.
            loss: of this step.
            iou: of this step.
            rate: learning rate.
        """
        if not self.active:
            return
        self._steps.append((loss, iou))
        self._at, self._rate = step, rate
        if self._bar is not None:
            self._bar.show(step, loss, iou)
        if self._every.due():
            self._flush()

    def scores(self, step: int, name: str, values: dict[str, float]) -> None:
        """Note what a validation measured."""
        if not self.active:
            return
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, name: values}) + "\n")
        self.say(f"step {step} {name} " + " ".join(f"{key} {value:.4f}" for key, value in values.items()))
        if self._board is not None:
            for key, value in values.items():
                self._board.add_scalar(f"{name}/{key}", value, step)

    def picture(self, step: int, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """Show (H, W, 3) uint8 RGB in TensorBoard."""
        if self._board is not None:
            self._board.add_image(name, pixels, step, dataformats="HWC")

    def _flush(self) -> None:
        """Write the means of the steps since the last line."""
        if not self._steps:
            return
        now = time.monotonic()
        loss, iou = np.mean(self._steps, 0).tolist()
        seconds = (now - self._since) / len(self._steps)
        row = {"step": self._at, "loss": round(loss, 6), "iou": round(iou, 6), "s": round(seconds, 3)}
        self._steps, self._since = [], now
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._bar is None:
            self.say(f"step {self._at}: loss {loss:.3f}, IoU {iou:.3f}, {seconds:.2f} s a step")
        if self._board is not None:
            for key in ("loss", "iou", "s"):
                self._board.add_scalar(f"training/{key}", row[key], self._at)
            self._board.add_scalar("training/lr", self._rate, self._at)


def hours_in(log: Path, until: int | None = None) -> float:
    """Hours that a log says were spent on the steps up to one, None for all."""
    seconds, before = 0.0, 0
    for row in _rows(log):
        if "s" in row and (until is None or before < until):
            seconds += (row["step"] - before) * row["s"]
            before = row["step"]
    return seconds / 3600


def scores_in(log: Path, name: str, key: str) -> dict[int, float]:
    """What a log says was measured, by step."""
    return {int(row["step"]): float(row[name][key]) for row in _rows(log) if name in row}


def _rows(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a kill may have cut the last one."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _drop_later(log: Path, step: int) -> None:
    """After a kill training goes on from the last checkpoint; the steps after it will be done, and logged, again."""
    kept = [row for row in _rows(log) if row["step"] <= step]
    if log.exists():
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_bytes(log, text.encode())


def _tensorboard(out: Path, step: int, say: Callable[[str], None]) -> Any:  # noqa: ANN401 - may be missing
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say(f"TensorBoard is not installed; {out / LOG} has the same numbers.")
        return None
    return SummaryWriter(out / "tensorboard", purge_step=step)


class _Bar:
    """Progress on a terminal; other lines go above it."""

    def __init__(self, step: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns)
        self._task = self._progress.add_task("", total=total, completed=step)
        self._progress.start()

    def show(self, step: int, loss: float, iou: float) -> None:
        self._progress.update(self._task, completed=step, description=f"loss {loss:.3f} IoU {iou:.3f}")

    def close(self) -> None:
        self._progress.stop()
