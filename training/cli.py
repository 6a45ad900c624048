"""Commands that this package adds to `agss`; what they need is imported only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from agss_model.cli import options

REFUSED = 3
Sources = Annotated[
    list[str],
    typer.Argument(
        help="Folder in DAVIS' or YouTube-VOS' layout; CVAT for video or images 1.1 export (annotations.xml, its "
        "folder or ZIP, the video beside it, or annotations.xml::VIDEO); cvat:HOST/tasks/ID, /jobs/ID or /projects/ID; "
        "fiftyone:NAME/FIELD.",
        show_default=False,
    ),
]
Include = Annotated[
    Literal["human", "interpolated", "all"],
    typer.Option(
        help="What counts as truth: what a human drew or corrected; also what lies between keyframes; also "
        "predictions nobody touched."
    ),
]
General = Annotated[
    list[str] | None,
    typer.Option(
        help="Folder of other videos, which must not get worse either; demo is the shipped clip, none is nothing.",
        show_default="demo",
    ),
]
data = typer.Typer(no_args_is_help=True, help="Annotated videos: look before training.")


def register(app: typer.Typer) -> None:
    """Add the commands; called by `agss_model.cli.main` through the entry point `agss.commands`."""
    app.add_typer(data, name="data")
    app.command()(finetune)
    app.command()(gate)
    app.command()(publish)


@data.callback()
def _data() -> None:
    pass


@data.command()
def inspect(
    sources: Sources,
    include: Include = "human",
    sheet: Annotated[
        Path | None, typer.Option(help="Picture to draw: annotated frames with their masks.", show_default=False)
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Print videos, objects, annotated frames, sizes and problems; draw a contact sheet."""
    from training import commands

    commands.inspect_sources(sources, include, sheet)


def finetune(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with it.", show_default=False)],
    weights: Annotated[str, typer.Option(help="Weights to begin with: a name, or a .safetensors file.")] = "lite",
    include: Include = "human",
    hold_out: Annotated[
        list[str] | None,
        typer.Option(help="Video to keep for the gate; repeatable.", show_default="of 8 videos or more a quarter"),
    ] = None,
    stills: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs with masks (docs/training.md) for synthetic clips, beside the team's frames.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Do fewer steps where they would take longer; 0 for any time.")] = 15,
    steps: Annotated[int, typer.Option(help="Steps.", show_default="four per annotated frame, 120 to 2000")] = 0,
    size: Annotated[int, typer.Option(help="Longest side of clips.", show_default="448 on a CPU, 640 on a GPU")] = 0,
    kept: Annotated[
        float, typer.Option(help="Share of the weights it began with that stays: more of it forgets less, learns less.")
    ] = 0.5,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train weights further on a team's own annotations, judged on videos that were not learned from.

    Of few videos each is left out once, to choose the number of steps and for the gate; then all are learned from.
    """
    from training import commands

    commands.finetune_sources(
        sources, out, include, tuple(hold_out or ()), threads,
        weights=weights, stills=stills, steps=steps, minutes=minutes, seed=seed, size=size, kept=kept,
    )  # fmt: skip


def gate(
    models: Annotated[
        list[str], typer.Argument(metavar="OLD NEW", help="Weights in use, and those that want to replace them.")
    ],
    data: Annotated[
        list[Path], typer.Option(help="Folder of annotated videos that were not trained on.", show_default=False)
    ],
    general: General = None,
    json: Annotated[Path | None, typer.Option(help="Write the numbers to this file.", show_default=False)] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.", show_default=False)] = None,
    iou: Annotated[float, typer.Option(help="A mask below it counts as corrected.")] = 0.8,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare weights on annotated videos; exit with status 3 where the new ones are worse, or no better.

    More folders may follow the first: --data A B is the same as --data A --data B.
    """
    from training import commands

    accepted = commands.judge(models, data, general, json=json, html=html, iou=iou, device=device, threads=threads)
    if not accepted:
        raise typer.Exit(REFUSED)


def publish(
    run: Annotated[Path, typer.Argument(help="Folder of agss finetune.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="What --weights will call it.", show_default="the folder's")] = None,
    general: General = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Publish a run's best weights if the gate accepts them; agss weights rollback NAME takes it back."""
    from training import commands

    if not commands.publish_run(run, name, general, device=device, threads=threads):
        raise typer.Exit(REFUSED)
