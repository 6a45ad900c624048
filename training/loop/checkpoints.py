"""Checkpoints that survive a kill at any moment: written beside, flushed to disk, renamed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from agss_model.errors import WeightsError
from agss_model.files import write_bytes, write_with
from agss_model.weights.files import save_weights

if TYPE_CHECKING:
    from training.loop.trainer import Trainer

LATEST = "latest.pt"


def save_batch(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to be looked at later."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save_tensors(whole))


def save(trainer: Trainer, out: Path) -> None:
    """Write `latest.pt`, from which training goes on exactly, and `latest.safetensors`, the averaged weights.

    Data, learning rate and random numbers are functions of the step, so the step is all that is kept of them.

    Raises:
        OutputError: the disk is full or the folder cannot be written; the earlier files are untouched.
    """
    if not trainer.accelerator.is_main_process:
        return
    state: dict[str, Any] = {
        "network": trainer.network.state_dict(),
        "average": trainer.average.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "step": trainer.step,
        "best": trainer.best,
        "best_step": trainer.best_step,
    }
    if isinstance(trainer.flow, nn.Module):
        state["flow"] = trainer.flow.state_dict()
    if trainer.accelerator.scaler is not None:
        state["scaler"] = trainer.accelerator.scaler.state_dict()
    write_with(out / LATEST, lambda beside: torch.save(state, beside))
    export(trainer, out, "latest")


def keep_best(trainer: Trainer, out: Path, score: float) -> None:
    """Write `best.safetensors` when the validation score is the highest so far."""
    if score > trainer.best:
        if trainer.accelerator.is_main_process:
            export(trainer, out, "best")
        trainer.best, trainer.best_step = score, trainer.step


def validated(step: int) -> str:
    """Name of the weights that are kept of the validation at a step, without its ending."""
    return f"validated-{step:06d}"


def export(trainer: Trainer, out: Path, name: str) -> None:
    """Write the averaged weights, which `load_model` reads, and those of a trained flow beside them."""
    metadata = {"step": str(trainer.step), "preset": trainer.run.preset}
    save_weights(out / f"{name}.safetensors", trainer.average.state_dict(), trainer.network.config, metadata)
    if isinstance(trainer.flow, nn.Module):
        about = metadata | {"kind": trainer.network.config.flow}
        save_weights(out / f"{name}-flow.safetensors", trainer.flow.state_dict(), trainer.network.config, about)


def resume(trainer: Trainer, out: Path) -> None:
    """Go on from `latest.pt` where there is one.

    Raises:
        WeightsError: the checkpoint cannot be read or is of another network.
    """
    path = out / LATEST
    if not path.exists():
        return
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        trainer.network.load_state_dict(state["network"])
        trainer.average.load_state_dict(state["average"])
        rates = [(group["base"], group["weight_decay"]) for group in trainer.optimizer.param_groups]
        trainer.optimizer.load_state_dict(state["optimizer"])
        for group, (base, decay) in zip(trainer.optimizer.param_groups, rates, strict=True):
            group["base"], group["weight_decay"] = base, decay  # the run's file decides, not what was once saved
        if isinstance(trainer.flow, nn.Module):
            trainer.flow.load_state_dict(state["flow"])
        if trainer.accelerator.scaler is not None and "scaler" in state:
            trainer.accelerator.scaler.load_state_dict(state["scaler"])
        trainer.step, trainer.best = int(state["step"]), float(state["best"])
        trainer.best_step = int(state.get("best_step", 0))
    except Exception as error:  # torch raises half a dozen kinds for a file that is damaged or of something else
        raise WeightsError(
            f"{path} does not continue this run ({error}). Choose another --out, or put the file aside to start anew."
        ) from error
