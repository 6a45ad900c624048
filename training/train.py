"""Train a network: one visible loop, the same on a laptop, a GPU and several hosts (through accelerate).

python -m training.train training/runs/lite-cpu.toml --data STILLS --out runs/lite
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from accelerate import Accelerator
from torch import Tensor, nn

from agss_model.config import AgssConfig, preset
from agss_model.errors import AgssError, WeightsError
from agss_model.flow import build_flow
from agss_model.network import build_network
from agss_model.network.base import AGSSVOS
from training import checkpoints
from training.datasets.stills import StillPool, load_stills
from training.recurrent import ClipLoss
from training.settings import RunConfig, read_run, to_dict
from training.synthesis import Clips, SynthesisConfig, synthesise

VALIDATION_SEED = 1_000_000_007


def new_network(run: RunConfig) -> AGSSVOS:
    """The run's network with its initial weights, reproducible from the run's seed."""
    torch.manual_seed(run.seed)
    settings = preset(run.preset).to_dict() | run.network
    network = build_network(AgssConfig.from_dict(settings))
    if run.init == "imagenet":
        from agss_model.network.lite.efficientnet import imagenet_weights

        encoder = getattr(network, "encoder", None)
        if run.preset != "lite" or encoder is None:
            raise WeightsError(f"init = 'imagenet' is for lite; {run.preset} starts from 'random' or a file.")
        encoder.load_state_dict(imagenet_weights())
    elif run.init != "random":
        from agss_model.weights.files import load_into, read_weights

        load_into(network, read_weights(Path(run.init))[0])
    return network


def parameter_groups(network: nn.Module, run: RunConfig) -> list[dict[str, Any]]:
    """New layers at `lr`, the pretrained encoder at `encoder_lr`, its first blocks not at all."""
    encoder = dict(network.named_parameters(prefix="")) if not hasattr(network, "encoder") else {}
    if hasattr(network, "encoder"):
        encoder = {f"encoder.{name}": p for name, p in network.encoder.named_parameters()}
    frozen = ("encoder.stem.", *(f"encoder.blocks.{i}." for i in range(run.frozen_blocks)))
    slow = []
    for name, parameter in encoder.items():
        if run.frozen_blocks and name.startswith(frozen):
            parameter.requires_grad_(False)
        else:
            slow.append(parameter)
    fast = [p for n, p in network.named_parameters() if n not in encoder]
    return [{"params": fast, "lr": run.lr, "base": run.lr}, {"params": slow, "lr": run.encoder_lr, "base": run.encoder_lr}]


def poly(step: int, run: RunConfig, warm_up: int = 50) -> float:
    """Factor of the learning rate: a short rise, then (1 - progress) ** power."""
    rise = min(1.0, (step + 1) / warm_up)
    return rise * (1 - step / max(run.total_steps, 1)) ** run.power


def clip_config(run: RunConfig, step: int) -> SynthesisConfig:
    """How the clips of a step look."""
    import dataclasses

    stage = run.stage(step)
    return dataclasses.replace(run.synthesis, size=stage.size, frames=stage.frames)


class Trainer:
    """A run and its state; `train` goes on from where the last checkpoint left it."""

    def __init__(self, run: RunConfig, pool: StillPool, out: Path) -> None:
        self.run, self.out = run, out
        self.accelerator = Accelerator(mixed_precision=run.mixed_precision)
        self.network = new_network(run)
        self.pool, self.held_out = _split(pool, run.validation_stills)
        use_flow = self.network.config.use_flow
        loss = ClipLoss(self.network, run.recurrent, build_flow("dis") if use_flow else None)
        optimizer = torch.optim.AdamW(parameter_groups(self.network, run), weight_decay=run.weight_decay)
        self.loss, self.optimizer = self.accelerator.prepare(loss, optimizer)
        if self.accelerator.device.type == "cpu":
            self.network.to(memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.step = 0
        self.best = -math.inf

    def batch(self, step: int) -> Clips:
        """The clips of a step: a function of the run's seed, the step and the process."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        seed = self.run.seed * 1_000_003 + step * processes + rank
        device = str(self.accelerator.device)
        return synthesise(self.pool, clip_config(self.run, step), self.run.stage(step).batch, seed, device)

    def train_step(self, clips: Clips) -> tuple[float, float]:
        """One optimiser step; returns loss and mean IoU."""
        factor = poly(self.step, self.run)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        with self.accelerator.autocast():
            loss, iou = self.loss(clips, self.run.seed + self.step)
        value = float(loss.detach())
        if not math.isfinite(value):
            checkpoints.save_tensors(self.out / "nan_batch.safetensors", {"frames": clips.frames, "masks": clips.masks})
            raise AgssError(
                f"The loss became {value} at step {self.step}; the batch is in {self.out / 'nan_batch.safetensors'}. "
                "Lower lr, or mixed_precision = 'no'."
            )
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.run.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return value, float(iou)

    def _average(self) -> None:
        decay = min(self.run.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                if value.is_floating_point() and self.run.ema:
                    self.average[name].lerp_(value, 1 - decay)
                else:
                    self.average[name].copy_(value)

    @torch.no_grad()
    def validate(self, batches: int = 8) -> float:
        """Mean IoU of the averaged weights over held-out stills, always the same clips of four frames."""
        if self.held_out is None:
            return math.nan
        import dataclasses

        current = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        config = dataclasses.replace(self.run.synthesis, size=256, frames=4)
        scores = []
        for index in range(batches):
            clips = synthesise(self.held_out, config, 4, VALIDATION_SEED + index, str(self.accelerator.device))
            scores.append(float(self.accelerator.unwrap_model(self.loss)(clips, index)[1]))
        self.network.load_state_dict(current)
        return sum(scores) / len(scores)


def _split(pool: StillPool, held_out: int) -> tuple[StillPool, StillPool | None]:
    """Keep the last stills out of training."""
    count = len(pool.names) - held_out
    if held_out <= 0 or count < 1:
        return pool, None
    return pool.subset(range(count)), pool.subset(range(count, len(pool.names)))


def main(
    settings: Annotated[Path, typer.Argument(help="TOML file of the run.")],
    data: Annotated[Path, typer.Option(help="Folder with stills-*.tar, or images/ and masks/.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and logs.")],
    minutes: Annotated[float, typer.Option(help="Stop (resumable) after so many minutes; 0 for never.")] = 0,
    steps: Annotated[int, typer.Option(help="Stop (resumable) after so many steps in all; 0 for the run's.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 for the default.")] = 0,
    save_seconds: Annotated[float, typer.Option(help="Time between checkpoints.")] = 60,
    validate_every: Annotated[int, typer.Option(help="Steps between validations; 0 for never.")] = 500,
) -> None:
    """Train, or go on with, a run."""
    if threads:
        torch.set_num_threads(threads)
    run = read_run(settings)
    out.mkdir(parents=True, exist_ok=True)
    pool = load_stills(data, shards=run.shards, size=run.still_size)
    trainer = Trainer(run, pool, out)
    checkpoints.resume(trainer, out)
    accelerator = trainer.accelerator
    accelerator.print(f"{len(pool.names)} stills, skipped {pool.skipped}; step {trainer.step} of {run.total_steps}")
    (out / "run.json").write_text(json.dumps(to_dict(run), indent=1))
    last = min(run.total_steps, steps or run.total_steps)
    started = saved = shown = time.monotonic()
    window: list[tuple[float, float]] = []
    while trainer.step < last and (not minutes or time.monotonic() - started < 60 * minutes):
        window.append(trainer.train_step(trainer.batch(trainer.step)))
        now = time.monotonic()
        if now - shown > 10:
            _log(out, trainer, window, now - shown)
            window, shown = [], now
        if validate_every and trainer.step % validate_every == 0:
            score = trainer.validate()
            accelerator.print(f"step {trainer.step} validation IoU {score:.4f}", flush=True)
            checkpoints.keep_best(trainer, out, score)
        if now - saved > save_seconds:
            checkpoints.save(trainer, out)
            saved = time.monotonic()
    checkpoints.save(trainer, out)
    accelerator.print(f"stopped at step {trainer.step} of {run.total_steps}")


def _log(out: Path, trainer: Trainer, window: list[tuple[float, float]], seconds: float) -> None:
    loss, iou = (sum(values) / len(values) for values in zip(*window, strict=True))
    row = {"step": trainer.step, "loss": round(loss, 4), "iou": round(iou, 4), "s": round(seconds / len(window), 3)}
    if trainer.accelerator.is_main_process:
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


if __name__ == "__main__":
    typer.run(main)
