"""`agss cvat track`: track all objects of a CVAT job."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from agss_model.adaptation import adapted_weights
from agss_model.cli import options
from agss_model.cli.console import ConsoleReport, note, stderr, stdout
from agss_model.clips import Direction
from agss_model.cvat.polygons.keyframes import LEAST, MOST, TOLERANCE
from agss_model.cvat.server.client import Server
from agss_model.engines.loading import Engine, default_weights, load_engine, set_threads
from agss_model.errors import ConfigError
from agss_model.masks.cvat_shapes import codec_of
from agss_model.review import look_first
from agss_model.system.environment import versions
from agss_model.words import plural
from serverless.job import access
from serverless.job.drawn import Boxes
from serverless.job.export import export
from serverless.job.ledger import Ledger, default_folder
from serverless.job.plan import OUTPUTS, JobOptions, JobPlan, Output, make_plan
from serverless.job.read import read_annotations, read_job, touches
from serverless.job.run import JobOutcome, run_job
from serverless.job.track import FunctionTracking, JobFrames, LocalTracking, Tracking, read_function

INTERRUPTED = 130  # what shells report for Ctrl-C


def register(app: typer.Typer) -> None:
    """Add `agss cvat track` and `agss cvat export`."""
    cvat = typer.Typer(no_args_is_help=True, help="Work on the annotations of a CVAT server.")
    cvat.command()(track)
    cvat.command()(export)
    app.add_typer(cvat, name="cvat")


def track(
    host: access.Host,
    job: access.JobNumber,
    first: Annotated[
        int | None, typer.Option("--from", help="First frame, as CVAT shows it.", show_default="the job's")
    ] = None,
    last: Annotated[int | None, typer.Option("--to", help="Last frame.", show_default="the job's")] = None,
    direction: Annotated[
        Direction,
        typer.Option(help="forward from the first drawing, backward from the last, or both, fused in between."),
    ] = "forward",
    keyframes: Annotated[
        Literal["all", "start"],
        typer.Option(help="Take in what people drew in all frames, or in the start frame only."),
    ] = "all",
    output: Annotated[
        Output, typer.Option(help="A mask in every frame, or polygon tracks with few keyframes.")
    ] = "masks",
    tolerance: Annotated[
        float, typer.Option(help="Pixels by which a polygon may leave the mask's outline.", min=LEAST, max=MOST)
    ] = TOLERANCE,
    deleted: Annotated[
        Literal["keep", "again"],
        typer.Option(help="What was deleted of an earlier run stays deleted, or is tracked again."),
    ] = "keep",
    model: Annotated[
        Literal["local", "function"],
        typer.Option(help="Track with weights on this machine, or with a function deployed in CVAT."),
    ] = "local",
    function_id: Annotated[str, typer.Option(help="Id of that function.")] = "agss-vos",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    token_file: access.TokenFile = None,
    user: access.User = None,
    org: access.Org = None,
    insecure: access.Insecure = False,
    state: Annotated[
        Path | None, typer.Option(help="Folder for the record of this job.", show_default="with your other state")
    ] = None,
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
    """Track all objects of a CVAT job from what is drawn in it, and write the result back.

    Masks, polygons and boxes that people drew stay as they are; without a group they get one, and tracks get keyframes
    beside theirs. The same command again continues an interrupted run, or replaces what it wrote before; what somebody
    has edited since is theirs and stays too.
    """
    server = access.sign_in(host, token_file, user, org, insecure=insecure)
    info = read_job(server, job)
    every, again = keyframes == "all", deleted == "again"
    asked = JobOptions(first, last, direction, output, tolerance, every=every, again=again)
    with Ledger(state or default_folder(server.host, job)) as ledger:
        plan = make_plan(server, info, read_annotations(server, job, info.names), ledger, asked)
        _announce(plan, server, model)
        if dry_run:
            stdout().print("Dry run: nothing was tracked or written.")
            return
        if adapt is not None:
            if model == "function":
                raise ConfigError("--adapt learns with the weights on this machine; leave out --model function.")
            set_threads(threads)
            weights = _learned(server, plan, ledger, weights or default_weights(), adapt)
        load = partial(load_engine, weights, flow, device, threads, max_side=max_side, engine=engine)
        tracking, about = _tracking(server, plan, model, function_id, load)
        try:
            outcome = run_job(server, plan, tracking, ledger, about)
        except KeyboardInterrupt:
            stderr().print("Interrupted. The same command continues where it stopped.")
            raise typer.Exit(INTERRUPTED) from None
    _report(plan, outcome)


def _tracking(
    server: Server, plan: JobPlan, model: str, function: str, load: Callable[[], Engine]
) -> tuple[Tracking, dict[str, Any]]:
    """What tracks, and everything about it that decides about the masks."""
    if model == "function":
        version = read_function(server, function)
        return FunctionTracking(server, function, plan.info, plan.frames), {"function": function, "version": version}
    engine = load()
    about = {
        "parameters": engine.fingerprint(),
        "config": json.loads(json.dumps(engine.network.config.to_dict())),
        "device": engine.device.type,
        "engine": engine.name,
        "versions": versions(),
    }
    return LocalTracking(JobFrames(server, plan.info, plan.frames), engine), about


def _learned(server: Server, plan: JobPlan, ledger: Ledger, weights: str, minutes: float) -> str:
    """Weights that have learned from what people drew in the job."""
    source = JobFrames(server, plan.info, plan.frames)
    drawn = plan.keyframes(plan.targets(), Boxes(source.picture))
    return adapted_weights(weights, source, drawn, ledger.folder / "adapted", ConsoleReport(), minutes)


def _announce(plan: JobPlan, server: Server, model: str) -> None:
    """The plan, in a few lines."""
    info, asked = plan.info, plan.asked
    own = [shape for shape in plan.annotations.own_shapes if shape["frame"] in set(plan.frames)]
    tracks = [track for track in plan.annotations.own_tracks if touches(track, plan.frames)]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("job", Text(f"{info.job} at {server.host}, frames {info.start} to {info.stop}"))
    skipped = len(set(info.deleted) & set(range(plan.frames[0], plan.frames[-1] + 1)))
    table.add_row(
        "tracked", f"frames {plan.frames[0]} to {plan.frames[-1]}" + (f", {skipped} deleted" if skipped else "")
    )
    table.add_row("direction", asked.direction)
    table.add_row("with", "weights on this machine" if model == "local" else "a function in CVAT")
    drawn = sorted({drawing.frame for drawing in plan.drawings})
    table.add_row(
        "drawn in", f"{len(drawn)} frames: {', '.join(map(str, drawn[:12]))}{' ...' if len(drawn) > 12 else ''}"
    )
    for target in plan.targets():
        table.add_row("object", Text(target.title(info.labels)))
    table.add_row(
        "written as", asked.output + (f", within {asked.tolerance} pixels" if asked.output == "polygons" else "")
    )
    if own or tracks:
        table.add_row("written before", f"{len(own)} masks and {len(tracks)} tracks, replaced where the result differs")
    stdout().print(table)
    for sentence in _remarks(plan):
        note(sentence)


def _remarks(plan: JobPlan) -> list[str]:
    drawn = [drawing.frame for drawing in plan.drawings]
    remarks = [*plan.notes, *_forms(plan), *_deletions(plan)]
    if plan.asked.direction == "forward" and min(drawn) > plan.frames[0]:
        remarks.append(f"frames before {min(drawn)} are not reached; --direction both reaches them.")
    if plan.asked.direction == "backward" and max(drawn) < plan.frames[-1]:
        remarks.append(f"frames after {max(drawn)} are not reached; --direction both reaches them.")
    if plan.loose:
        where = ", ".join(f"{drawing.origin} in frame {drawing.frame}" for drawing in plan.loose[:5])
        remarks.append(
            f"shapes without a group on later frames ({where}) are matched with what is tracked there and get a group."
        )
    if plan.groups.drawing:
        pairs = [f"{origin} gets group {group}" for origin, group in plan.groups.drawing.items()]
        more = f" and {plural(len(pairs) - 20, 'more shape')}" if len(pairs) > 20 else ""
        remarks.append(
            f"drawings without a group get one, so that every export knows them: {', '.join(pairs[:20])}{more}."
        )
    return remarks


def _forms(plan: JobPlan) -> list[str]:
    """What is written as something else than was asked for."""
    remarks: list[str] = []
    for target in plan.targets():
        form, title = plan.form(target), target.title(plan.info.labels)
        if target.key in plan.continued:
            remarks.append(f"{title}: the track that is there gets keyframes; those of people stay.")
        elif form != OUTPUTS[plan.asked.output]:
            remarks.append(f"{title}: its label is for shapes of type {form}, so it gets {codec_of(form).written}.")
    return remarks


def _deletions(plan: JobPlan) -> list[str]:
    remarks: list[str] = []
    for target in plan.targets():
        frames = sorted(plan.deleted.get(target.key, frozenset()).intersection(plan.frames))
        if frames:
            what = "is tracked again" if plan.asked.again else "stays deleted; --deleted again tracks it anew"
            where = f"{plural(len(frames), 'frame')} from {frames[0]} on"
            remarks.append(f"{target.title(plan.info.labels)}: what was deleted of an earlier run ({where}) {what}.")
    return remarks


def _report(plan: JobPlan, outcome: JobOutcome) -> None:
    for sentence in outcome.notes:
        note(sentence)
    names = {target.number: target.title(plan.info.labels) for target in outcome.targets}
    stdout().print(f"Went through {plural(outcome.tracked, 'frame')}; {_changes(outcome)}.")
    if stretches := look_first(outcome.rows, limit=20):
        stdout().print("Look first at")
        for stretch in stretches:
            stdout().print(f"  {stretch.line(names[stretch.object_id])}", markup=False)
    elif outcome.rows:
        stdout().print("Nothing stands out.")


def _changes(outcome: JobOutcome) -> str:
    """What a run changed, in words."""
    parts = [
        f"{plural(outcome.masks, 'mask')} written" if outcome.masks else "",
        f"{plural(outcome.created - outcome.masks, 'track')} written" if outcome.created > outcome.masks else "",
        f"{plural(outcome.removed, 'earlier result')} removed" if outcome.removed else "",
        f"{plural(outcome.changed, 'track')} of people continued" if outcome.changed else "",
        f"{plural(outcome.grouped, 'drawing')} got a group" if outcome.grouped else "",
    ]
    return "; ".join(filter(None, parts)) or "nothing had to be changed"
