"""Checkpoints that survive a kill at any moment: written beside, flushed to disk, renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from agss_model.errors import OutputError, WeightsError

if TYPE_CHECKING:
    from training.train import Trainer


def write_atomically(path: Path, write: Any) -> None:
    """Let `write(temporary path)` make a file, and put it in place only when it is whole.

    Raises:
        OutputError: the disk is full or the folder cannot be written; an earlier file is untouched.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        raise OutputError(f"{path} could not be written ({error}); the earlier one is untouched.") from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda p: save_file(whole, p, metadata))


def save(trainer: Trainer, out: Path) -> None:
    """Write `latest.pt`, from which training goes on exactly, and `latest.safetensors`, the averaged weights."""
    if not trainer.accelerator.is_main_process:
        return
    state = {
        "network": trainer.network.state_dict(),
        "average": trainer.average,
        "optimizer": trainer.optimizer.state_dict(),
        "step": trainer.step,
        "best": trainer.best,
    }
    write_atomically(out / "latest.pt", lambda p: torch.save(state, p))
    _export(trainer, out / "latest.safetensors")


def keep_best(trainer: Trainer, out: Path, score: float) -> None:
    """Write `best.safetensors` when the validation score is the highest so far."""
    if score > trainer.best and trainer.accelerator.is_main_process:
        trainer.best = score
        _export(trainer, out / "best.safetensors")


def _export(trainer: Trainer, path: Path) -> None:
    import json

    config = json.dumps(trainer.network.config.to_dict())
    save_tensors(path, trainer.average, {"config": config, "step": str(trainer.step)})


def resume(trainer: Trainer, out: Path) -> None:
    """Go on from `latest.pt` where there is one.

    Raises:
        WeightsError: the checkpoint cannot be read or is of another network.
    """
    path = out / "latest.pt"
    if not path.exists():
        return
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        trainer.network.load_state_dict(state["network"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.average = {k: v.to(trainer.average[k].device) for k, v in state["average"].items()}
        trainer.step, trainer.best = int(state["step"]), float(state["best"])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} does not continue this run ({error}); choose another --out.") from error
