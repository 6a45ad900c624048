"""`agss track`: masks for a whole clip from the masks of one or a few frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agss_model.adaptation import adapted_weights
from agss_model.cli import options
from agss_model.cli.console import ConsoleReport, error, note
from agss_model.cli.report import print_json, print_report
from agss_model.clips import Direction
from agss_model.engines.loading import default_weights, load_engine, set_threads
from agss_model.errors import ConfigError, MediaError, OutputError
from agss_model.runs.given.hints import hinted
from agss_model.runs.given.keyframes import read_keyframes
from agss_model.runs.run import MaskNaming, Run, RunOutcome, make_run
from agss_model.runs.showing import Overlay
from agss_model.runs.traces import Traces
from agss_model.video import DamagedError, open_source
from agss_model.video.source import IndexedFrames

ADAPTED = ".adapted"
"""What the folder of what was learned from the clip is called beside the run's, after its name."""
INTERRUPTED = 130  # what shells report for Ctrl-C


def track(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(help="A video file, a folder of images, or several images in one file.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Output folder. An unfinished run in it is continued.")],
    masks: Annotated[
        Path | None,
        typer.Option(
            help="A mask image whose values are object ids, or a folder of them, named by frame number from 0 or like "
            "images. Or COCO, Datumaro or LabelMe JSON, YOLO text, CVAT XML.",
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="For a first look: an object in a box, 1=x,y,w,h; may be repeated.", show_default=False),
    ] = None,
    points: Annotated[
        list[str] | None,
        typer.Option(
            help='For a first look: points on an object and beside it, "1=+x,y;-x,y"; may be repeated.',
            show_default=False,
        ),
    ] = None,
    direction: Annotated[
        Direction,
        typer.Option(help="forward from the first mask, backward from the last, or both, fused between masks."),
    ] = "forward",
    frame: Annotated[
        int | None,
        typer.Option(
            help="Frame of a single mask, of boxes and points.", show_default="the number in its name, else 0"
        ),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", help="First frame that gets a mask.", show_default="the clip's")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", help="Last frame that gets a mask.", show_default="the clip's")
    ] = None,
    overlay: Annotated[
        Overlay,
        typer.Option(help="Draw the masks over the clip: into overlay.mp4, or overlay/ with an image per frame."),
    ] = "video",
    overwrite: Annotated[
        bool, typer.Option(help="Replace the run in the output folder, once the new one is finished.")
    ] = False,
    partial: Annotated[
        bool, typer.Option(help="Track what can be decoded of a damaged or cut-off video, and say what is missing.")
    ] = False,
    names: Annotated[
        MaskNaming, typer.Option(help="Name masks by frame number, or like the images of the source folder.")
    ] = "numbers",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    adapt: options.Adapt = None,
    weights: options.Weights = None,
    flow: options.Flow = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    max_side: options.MaxSide = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Track every object of a clip, from masks drawn on one or a few frames.

    Writes masks/ (an indexed PNG per frame), scores.csv, overlay.mp4 and run.json into the output folder. The same
    command again continues an interrupted run.
    """
    hints = box or [], points or []
    _check_apart(source, masks, out, overwrite=overwrite)
    with _opened(source, partial=partial) as clip:
        if masks is not None and not any(hints):
            keyframes = read_keyframes(masks, clip, frame)
        elif masks is None and any(hints):
            keyframes = hinted(*hints, clip, frame, load_engine(weights, flow, device, threads, max_side=max_side))
        else:
            raise ConfigError("say where the objects are, with --masks or, for a first look, with --box and --points")
        for sentence in (*clip.notes, *keyframes.doubtful):
            note(sentence)
        if adapt is not None:
            set_threads(threads)
            learned = out.absolute().with_name(out.absolute().name + ADAPTED)
            weights = adapted_weights(
                weights or default_weights(), clip, keyframes.label_maps, learned, ConsoleReport(), adapt
            )
        loaded = load_engine(weights, flow, device, threads, max_side=max_side, engine=engine)
        run = make_run(
            clip, source, keyframes, loaded, out, ConsoleReport(),
            direction=direction, first=first, last=last, overlay=overlay, names=names,
        )  # fmt: skip
        outcome = carry_out(run, overwrite=overwrite)
    left_out = len(clip) - outcome.frames
    if left_out and first is None and last is None:
        note(f"{left_out} frames cannot be reached {direction} from the masks; --direction both reaches all.")
    if as_json:
        print_json(run, outcome)
    else:
        print_report(run, outcome, masks, context.meta["agss.words"])


def _opened(source: Path, *, partial: bool) -> IndexedFrames:
    try:
        return open_source(source, partial=partial)
    except DamagedError as damage:
        raise MediaError(f"{damage}; --partial tracks what can be decoded") from damage


def _check_apart(source: Path, masks: Path | None, out: Path, *, overwrite: bool) -> None:
    """Refuse to make a run from what another one wrote, or to replace one by what is made from inside its folder."""
    for option, path in (("SOURCE", source), ("--masks", masks)):
        if overwrite and path is not None and path.resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"{option} {path} lies inside --out {out}, whose run would be replaced; move it elsewhere first"
            )
    written = Traces(out)
    if masks is not None and written.is_run() and masks.resolve().is_relative_to(written.masks.resolve()):
        raise OutputError(
            f"--masks {masks} is what the run in {out} wrote, not what you drew; copy the masks that you "
            "corrected into another folder"
        )


def carry_out(run: Run, *, overwrite: bool = False) -> RunOutcome:
    """Carry out a run; interrupted, say how it goes on.

    Raises:
        AgssError: of any kind.
        typer.Exit: it was interrupted.
    """
    try:
        return run.run(overwrite=overwrite)
    except KeyboardInterrupt:
        error("interrupted; everything so far is kept, and the same command continues where it stopped.")
        raise typer.Exit(INTERRUPTED) from None
