"""A run and its state: network, averaged weights, optimizer, step."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn

from agss_model.errors import AgssError, ConfigError, OutputError
from agss_model.network.base import AGSSVOS
from agss_model.network.lite.model import LiteAGSSVOS
from training.data.clips import Clips, ClipSource
from training.loop.checkpoints import save_batch
from training.loop.optimisation import move_average, new_flow, new_network, new_optimizer, poly
from training.loop.recurrent import ClipLoss
from training.loop.settings import RunConfig
from training.loop.sources import FlowAhead, ahead_of
from training.loop.widening import standardise

STANDARD = 16
"""Frames over which the features of a new target model get their scale."""
SHARED = ("encoder.", "project_key.", "target.")
"""Parameters of `lite` that make what the object path and the memory are given."""


class Trainer:
    """The state of a run; `train_step` takes it one step further.

    Attributes:
        run: settings.
        accelerator: devices, processes and precision.
        network: what is trained.
        average: moving average of its weights, which is validated and shipped.
        flow: estimator of motion, None for none.
        step: optimiser steps done.
        best: highest validation score so far.
        best_step: steps done when it was reached.
    """

    def __init__(self, run: RunConfig, source: ClipSource, accelerator: Accelerator | None = None) -> None:
        self.run, self.source = run, source
        self.accelerator = accelerator or new_accelerator(run)
        self.network: AGSSVOS = new_network(run)
        if run.channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.flow = new_flow(run, self.network)
        optimizer = new_optimizer(self.network, self.flow, run)
        self.loss, self.optimizer = self.accelerator.prepare(
            ClipLoss(self.network, run.recurrent, self.flow, _teacher(self.network, run)), optimizer
        )
        state = self.network.state_dict()
        self._first = {name: value.clone() for name, value in state.items()} if run.kept else None
        self.average: AGSSVOS = copy.deepcopy(self.network).requires_grad_(False)
        if run.compile:
            for module in self.network.children():
                module.compile()
        ahead = run.flow_threads if self.network.config.flow == "dis" and self.flow is not None else 0
        self._flow_ahead = FlowAhead(ahead, self.network.mask_stride) if ahead else None
        self.step = 0
        self.best = -math.inf
        self.best_step = 0

    def batch(self, step: int) -> tuple[Clips, ...]:
        """The clips of a step, `accumulate` batches: a function of the run's seed, the step and the process."""
        first = step * self.run.accumulate
        return tuple(self._clips(step, number) for number in range(first, first + self.run.accumulate))

    def _clips(self, step: int, number: int) -> Clips:
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        seed = self.run.data_seed(number, rank, processes)
        with ahead_of(self.accelerator.device) as stream:
            clips = self.source.sample(self.run.stage(step).shape, seed, str(self.accelerator.device))
            clips = clips if self._flow_ahead is None else self._flow_ahead(clips)
            stream.hand_over(clips)
        return clips

    def standardise(self) -> None:
        """Give the features of a new target model their scale, by frames of the first step."""
        clips = self.source.sample(self.run.stage(0).shape, self.run.data_seed(0), str(self.accelerator.device))
        for network in (self.network, self.average):
            if isinstance(network, LiteAGSSVOS):
                standardise(network, clips.frames.flatten(0, 1)[:STANDARD])

    def train_step(self, batches: Sequence[Clips]) -> tuple[float, float]:
        """One optimiser step by the mean gradient of the batches; returns the means of loss and IoU.

        Raises:
            AgssError: the loss or its gradient is not a number; the weights are those before the step.
        """
        factor = poly(self.step, self.run)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        count = len(batches)
        found = []
        for part, clips in enumerate(batches):
            last = part == count - 1  # with it processes exchange their gradients, once a step
            with nullcontext() if last else self.accelerator.no_sync(self.loss):
                found.append(self._gradient(clips, self.step * count + part, 1 / count))
        norm = self.accelerator.clip_grad_norm_(self.loss.parameters(), self.run.clip_norm or math.inf)
        if norm is not None and not math.isfinite(float(norm)) and self.accelerator.scaler is None:
            raise self._broken(batches[-1], f"norm of the gradient became {float(norm)}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        move_average(self.average, self.network, self.run.ema, self.step, self._first, self.run.kept)
        self.step += 1
        loss, iou = (sum(values) / count for values in zip(*found, strict=True))
        return loss, iou

    def _gradient(self, clips: Clips, number: int, share: float) -> tuple[float, float]:
        """Add a share of the gradient of one batch; loss and IoU."""
        torch.manual_seed(self.run.data_seed(number, self.accelerator.process_index))
        with self.accelerator.autocast():
            loss, iou = self.loss(clips, self.run.seed + number)
        value = float(loss.detach())
        if not math.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            raise self._broken(clips, f"loss became {value}")
        self.accelerator.backward(loss * share)
        return value, float(iou)

    @property
    def settled(self) -> bool:
        """Whether validation has not improved for as long as the run is patient."""
        return 0 < self.run.patience <= self.step - self.best_step

    def averaged(self) -> ClipLoss:
        """The averaged weights, to be measured on clips."""
        return ClipLoss(self.average, self.run.recurrent, self.flow).eval()

    def agreed(self, wish: bool) -> bool:
        """Whether any process wishes to stop; all must do so after the same step."""
        if self.accelerator.num_processes == 1:
            return wish
        wishes = torch.tensor(float(wish), device=self.accelerator.device)
        return bool(self.accelerator.reduce(wishes, "sum") > 0)

    def _broken(self, clips: Clips, what: str) -> BrokenStepError:
        return BrokenStepError(f"The {what} at step {self.step}.", clips)


def new_accelerator(run: RunConfig) -> Accelerator:
    """Devices, processes and precision; it also chooses this process' GPU, so it comes first."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # modules may be switched off
    without_gpu = not torch.cuda.is_available()  # said aloud, or several processes on CPUs would not find each other
    return Accelerator(cpu=without_gpu, mixed_precision=run.mixed_precision, kwargs_handlers=[unused])


def _teacher(network: AGSSVOS, run: RunConfig) -> AGSSVOS | None:
    """The network as it is now, to hold on to; its parameters must have been frozen or not by then."""
    if not run.recurrent.taught:
        return None
    moving = [name for name, p in network.named_parameters() if p.requires_grad and name.startswith(SHARED)]
    if moving:
        raise ConfigError(f"recurrent.taught needs frozen features and keys, but {moving[0]} is trained; see `frozen`.")
    return copy.deepcopy(network).requires_grad_(False)


class BrokenStepError(AgssError):
    """A step that gave no number.

    Attributes:
        clips: the batch it happened on.
    """

    def __init__(self, message: str, clips: Clips) -> None:
        super().__init__(message)
        self.clips = clips

    def saved_in(self, folder: Path) -> AgssError:
        """The same error, with the batch saved to be looked at."""
        place = folder / "nan_batch.safetensors"
        try:
            save_batch(place, self.clips.tensors())
            where = f"The batch is in {place}."
        except OutputError as error:
            where = str(error)
        return AgssError(
            f"{self} {where} The last checkpoint is unharmed; go on from it with a lower lr, a smaller clip_norm, "
            "or mixed_precision = 'no'."
        )


def parameters_of(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
