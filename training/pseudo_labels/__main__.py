"""`python -m training.pseudo_labels CLIPS --stills STILLS --out FOLDER`: label clips that nobody annotated."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.engines.loading import load_engine
from agss_model.errors import AgssError
from agss_model.weights.registry import digest_of
from training.data.stills import load_stills
from training.pseudo_labels.label import label_clips
from training.pseudo_labels.salience import fit, load_head, salience_map, save_head

STILLS = 1900
"""As many as the labels behind the shipped weights were found with; more take longer and more memory."""


def main(
    clips: Annotated[Path, typer.Argument(help="Folder of video files, or of folders of images.", show_default=False)],
    stills: Annotated[Path, typer.Option(help="Folder of photographs with masks (docs/training.md).")],
    out: Annotated[Path, typer.Option(help="Folder in DAVIS' layout; the same command goes on with it.")],
    weights: Annotated[str, typer.Option(help="Weights to track with: a name, or a .safetensors file.")] = "lite",
    limit: Annotated[int, typer.Option(min=13, help="Stills to fit on at most.")] = STILLS,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
) -> None:
    """Find what stands out in each clip, track it there and back, and keep the masks that both ways agree on."""
    try:
        base, kept = digest_of(weights), out / "salience.safetensors"
        network = load_engine(weights, None, device, threads, engine="torch").network
        if kept.is_file():
            head = load_head(kept, base)
        else:
            head, iou = fit(network, load_stills(stills, limit=limit), print)
            save_head(head, kept, base, iou, network.config)
        tracks = load_engine(weights, None, device, threads, engine=engine).network
        count = label_clips(clips, out, tracks, partial(salience_map, head, network), print)
    except AgssError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    print(f"{count} clips are labelled in {out}")


if __name__ == "__main__":
    typer.run(main)
