"""`agss demo`: the shipped clip, tracked on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agss_model import demo_clip
from agss_model.cli import options
from agss_model.cli.console import ConsoleReport, stdout
from agss_model.cli.report import print_report
from agss_model.cli.track import carry_out
from agss_model.engines.loading import load_engine
from agss_model.errors import OutputError
from agss_model.evaluation import boundary_f, region_similarity
from agss_model.masks import object_ids, read_label_map
from agss_model.runs.given.keyframes import read_keyframes
from agss_model.runs.run import Run, make_run
from agss_model.video import open_source


def demo(
    out: Annotated[Path, typer.Option(help="Output folder; an earlier demonstration in it is replaced.")] = Path(
        "demo_output"
    ),
    weights: options.Weights = None,
    flow: options.Flow = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    max_side: options.MaxSide = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Track seven pedestrians through the shipped clip; nothing is downloaded."""
    with open_source(demo_clip.VIDEO) as clip:
        loaded = load_engine(weights, flow, device, threads, max_side=max_side, engine=engine)
        run = make_run(clip, demo_clip.VIDEO, read_keyframes(demo_clip.FIRST, clip), loaded, out, ConsoleReport())
        _refuse_another(run)
        print_report(run, carry_out(run, overwrite=True))
        end = len(clip) - 1
    if demo_clip.LAST.exists():
        j, f = _agreement(run.folder.settled.mask(end), demo_clip.LAST, run.keyframes.ids)
        stdout().print(f"Last frame against its hand-drawn masks: J {j:.3f}, F {f:.3f}, J&F {(j + f) / 2:.3f}")
    stdout().print(f"Watch {run.folder.settled.overlay}")


def _refuse_another(run: Run) -> None:
    record = run.folder.settled.read_record()
    if record is not None and record.asked.get("source") != run.asked["source"]:
        raise OutputError(
            f"{run.folder.root} holds the run of another clip, which the demonstration would replace; choose another "
            "--out"
        )


def _agreement(found: Path, drawn: Path, ids: tuple[int, ...]) -> tuple[float, float]:
    """Mean J and F over the objects; one that is in neither file agrees fully."""
    prediction, truth = read_label_map(found), read_label_map(drawn)
    every = sorted({*ids, *object_ids(truth)})
    pairs = [(prediction == object_id, truth == object_id) for object_id in every]
    j = sum(region_similarity(one, two) for one, two in pairs) / len(pairs)
    return j, sum(boundary_f(one, two) for one, two in pairs) / len(pairs)
