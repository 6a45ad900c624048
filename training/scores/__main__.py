"""`python -m training.scores`: fit the head that says how far a mask can be trusted, anew for new weights."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.engines.loading import load_engine
from agss_model.errors import AgssError
from agss_model.files import write_json
from agss_model.tracking.clues import NAMES
from agss_model.tracking.quality import HEAD
from agss_model.weights.files import save_weights
from agss_model.weights.registry import digest_of, head_beside, locate
from training.scores.collect import collect
from training.scores.fit import fit, is_held_out, judge, read_tables, rows_of
from training.scores.lessons import lessons

app = typer.Typer(no_args_is_help=True, add_completion=False)
Tables = Annotated[Path, typer.Option(help="Folder of tables, one for each clip tracked.", show_default=False)]
Weights = Annotated[str, typer.Option(help="Weights that the head is for: a name, or a .safetensors file.")]


@app.command("collect")
def collect_tables(
    data: Annotated[Path, typer.Option(help="Folder that holds video_train and stills.", show_default=False)],
    tables: Tables,
    weights: Weights = "lite",
    made: Annotated[int, typer.Option(help="Clips to make of stills, and as many of stills over real clips.")] = 100,
    most: Annotated[int, typer.Option(help="Clips at most; 0 for all.")] = 0,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
) -> None:
    """Track training clips freely and keep what was seen and how good it was; the same command goes on."""
    loaded = load_engine(weights, None, device, threads, engine=engine)
    parts = lessons(data / "video_train", data / "stills", made)
    collect(parts, loaded, tables, print, most=most)


@app.command("fit")
def fit_head(
    tables: Tables,
    weights: Weights = "lite",
    out: Annotated[
        Path | None, typer.Option(help="File of the head.", show_default="beside the weights, where it is used")
    ] = None,
) -> None:
    """Fit the head on the tables, judge it on the clips held out, and write it."""
    from agss_model.weights.files import read_weights

    base = locate(weights)[0]
    found = read_tables(tables)
    told = {name: table for name, table in found.items() if not is_held_out(name)}
    head = fit(rows_of(told.values()))
    judged = {
        "fitted": judge(head, told.values()),
        "held out": judge(head, [table for name, table in found.items() if is_held_out(name)]),
    }
    report = {name: asdict(value) for name, value in judged.items() if value is not None}
    about = {"kind": HEAD, "clues": " ".join(NAMES), "base": digest_of(weights), "licence": "Apache-2.0"}
    about |= {"clips": str(len(told)), "judged": json.dumps(report)}
    target = out or head_beside(base)
    save_weights(target, head.state(), read_weights(base)[1], about)
    write_json(tables / "fit.json", report)
    print(json.dumps(report, indent=1))
    print(f"wrote {target}")


def main() -> None:
    """Command line."""
    try:
        app()
    except AgssError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
