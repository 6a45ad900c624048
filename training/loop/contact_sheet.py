"""Look at training clips: a sheet with one clip a row, its frames bare and with the tracked masks laid over them.

python -m training.loop.contact_sheet training/runs/tiny.toml --data STILLS --out sheet.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import AgssError, ConfigError, OutputError
from agss_model.masks.files import DAVIS_PALETTE
from training.data.clips import Clips
from training.loop.settings import read_run
from training.loop.sources import open_sources


def draw(clips: Clips, masks: Tensor | None = None) -> npt.NDArray[np.uint8]:
    """Draw clips, each in two rows: the frames, and the frames with the objects that have come in by then.

    Args:
        clips: B clips of T frames.
        masks: (B, T, N, H, W) float in [0, 1] to draw instead of the clips' own.

    Returns:
        (2 * B * H, T * W, 3) uint8 RGB.
    """
    shown = clips.masks if masks is None else masks
    time = torch.arange(shown.shape[1], device=shown.device)[None, :, None]
    shown = shown * (clips.entry[:, None] <= time)[..., None, None]
    colours = torch.from_numpy(DAVIS_PALETTE[1 : shown.shape[2] + 1] / 255.0).float().to(shown.device)
    tint = torch.einsum("btnhw,nc->btchw", shown, colours)
    covered = shown.sum(2, keepdim=True).clamp_max(1)
    marked = clips.frames * (1 - 0.5 * covered) + 0.5 * tint
    rows = torch.stack([clips.frames, marked], 1)  # (B, 2, T, 3, H, W)
    batch, _, frames, _, height, width = rows.shape
    sheet = rows.permute(0, 1, 4, 2, 5, 3).reshape(2 * batch * height, frames * width, 3)
    pixels: npt.NDArray[np.uint8] = (sheet * 255).round().clamp(0, 255).byte().cpu().numpy()
    return pixels


def _stacked(sheets: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """One below the other, black beside those that are less wide: stages of a run may have clips of other sizes."""
    widest = max(sheet.shape[1] for sheet in sheets)
    return np.vstack([np.pad(sheet, ((0, 0), (0, widest - sheet.shape[1]), (0, 0))) for sheet in sheets])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("settings", type=Path, help="TOML file of the run whose clips are drawn")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png or .jpg")
    parser.add_argument("--step", type=int, default=0, help="step of the run whose clips are drawn")
    parser.add_argument("--steps", type=int, default=1, help="so many steps from there on")
    parser.add_argument("--limit", type=int, default=400, help="stills to load, 0 for all")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the run")
    given = parser.parse_args()
    try:
        if given.out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise OutputError(f"{given.out} is no picture; choose a name that ends in .png or .jpg.")
        if given.steps < 1:
            raise ConfigError(f"--steps {given.steps} draws nothing; give 1 or more.")
        run = read_run(given.settings, given.set)
        sources = open_sources(run, given.data, limit=given.limit or None)
        clips = [
            sources.training.sample(run.stage(step).shape, run.data_seed(step), "cpu")
            for step in range(given.step, given.step + given.steps)
        ]
        sheet = _stacked([draw(part) for part in clips])
        if not cv2.imwrite(str(given.out), sheet[..., ::-1]):
            raise OutputError(f"{given.out} could not be written; choose a writable folder.")
    except AgssError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
