"""`agss bench`: time per frame by object count and by module, and memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from agss_model.cli import options
from agss_model.cli.console import note, say, stdout
from agss_model.cli.evaluate import Stopwatch, score_sequences
from agss_model.config import PRESETS, preset
from agss_model.engines import use_engine
from agss_model.engines.loading import Engine, load_engine, pick_device, set_threads
from agss_model.errors import ConfigError
from agss_model.evaluation import Sequence, mean_score, open_dataset
from agss_model.evaluation.benchmark import (
    MODULES,
    ObjectSize,
    Scene,
    Subject,
    TimeKind,
    Timing,
    measure_together,
    peak_mib,
)
from agss_model.files import check_writable, write_json
from agss_model.network import build_network
from agss_model.system.environment import commit, machine, versions
from agss_model.tracking.tracker import MAX_OBJECTS
from agss_model.weights.registry import check_device, shipped_models


@dataclass(frozen=True)
class Model:
    """How to build one of the networks to be measured; plain values, so that another process can do it too.

    Attributes:
        name: of a preset.
        weights: name or file, None for random numbers.
        device: as torch writes it.
        threads: as the option.
        runs_on: the engine, of `agss_model.engines.ENGINES`.
    """

    name: str
    weights: str | None
    device: str
    threads: int | None
    runs_on: str = "torch"

    def engine(self) -> Engine:
        """The network, ready to run.

        Raises:
            AgssError: of any kind.
        """
        if self.weights is not None:
            return load_engine(self.weights, None, self.device, self.threads, engine=self.runs_on)
        set_threads(self.threads)
        torch.manual_seed(0)
        network = build_network(preset(self.name)).eval().to(check_device(self.device))
        return Engine(network, None, "random numbers", use_engine(network, self.runs_on, self.threads))

    def subject(self, scene: Scene, engine: Engine | None = None, kind: TimeKind = "wall") -> Subject:
        """The network on a scene."""
        engine = engine or self.engine()
        return Subject(engine.network, scene, engine.flow, kind)


def bench(
    objects: Annotated[str, typer.Option(help="Object counts, separated by commas.")] = "1,2,5,10",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the frames.")] = "854x480",
    models: Annotated[str, typer.Option(help=f"Of {', '.join(PRESETS)}; separated by commas.")] = "lite,paper,rgmp",
    frames: Annotated[int, typer.Option(help="Frames measured of each; the median counts.")] = 6,
    object_size: Annotated[
        ObjectSize, typer.Option(help="Width of an object: 5, 12 or 25 % of the frame's, less where many must fit.")
    ] = "typical",
    time: Annotated[
        TimeKind,
        typer.Option(help="On a machine that also does other things: processor, best with --threads 1 (CPU only)."),
    ] = "wall",
    memory: Annotated[bool, typer.Option(help="Measure peak memory too, each in a process of its own.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.", show_default=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw them into this file (needs matplotlib).", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Also score what was measured on this DAVIS folder; see agss eval.", show_default=False),
    ] = None,
    sequences: Annotated[str | None, typer.Option(help="Of --data only these.", show_default="all")] = None,
    weights: options.Weights = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Measure the time per frame by object count and by module, on a made-up clip.

    Time is from decoded frame to label map; models and object counts take turns frame by frame. Each frame starts from
    the true masks of the one before, so networks without trained weights are measured with random ones.
    """
    counts = _counts(objects)
    width, height = _size(size)
    if frames < 1:
        raise ConfigError(f"--frames is {frames}; use 1 or more.")
    for path in (json, plot):
        if path is not None:
            check_writable(path)
    _need_matplotlib(plot)
    annotated = open_dataset(data, "davis", sequences.split(",") if sequences else None) if data else []
    device = pick_device(device)
    check_device(device)
    if time == "processor" and device != "cpu":
        raise ConfigError(f"--time processor says nothing about {device}; use --time wall, or --device cpu.")
    set_threads(threads)
    chosen = _models(models, weights, device, threads, engine)
    engines = [model.engine() for model in chosen]
    cases = [
        (model, own, Scene(count, width, height, object_size, seed))
        for count in counts
        for model, own in zip(chosen, engines, strict=True)
    ]
    subjects = [model.subject(scene, own, time) for model, own, scene in cases]
    timings = measure_together(subjects, frames, say=lambda done, of: say(f"{done} of {of} turns done"))
    del subjects
    rows = []
    for (model, own, scene), timing in zip(cases, timings, strict=True):
        peak = peak_mib(partial(model.subject, scene)) if memory else None
        rows.append(_row(model, own, scene.objects, timing, peak))
    report = {
        "rows": rows,
        "accuracy": _accuracy(chosen, engines, annotated),
        "size": [width, height],
        "object_size": object_size,
        "frames": frames,
        "time": time,
        "machine": machine(device),
        "versions": versions(),
        "commit": commit(),
    }
    _print_table(rows)
    if json is not None:
        write_json(json, report)
    if plot is not None:
        from agss_model.cli.plot import draw_plot

        draw_plot(rows, plot, f"{width}x{height}, {time} time, {report['machine']['cpu']}")  # type: ignore[index]


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--objects is {text!r}; give numbers separated by commas, such as 1,2,5,10.") from None
    if not all(1 <= count <= MAX_OBJECTS for count in counts):
        raise ConfigError(f"--objects is {text!r}; each must be from 1 to {MAX_OBJECTS}.")
    return counts


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 32 <= int(width) <= 16384 and 32 <= int(height) <= 16384):
        raise ConfigError(f"--size is {text!r}; give WIDTHxHEIGHT, each from 32 to 16384, such as 854x480.")
    return int(width), int(height)


def _accuracy(models: list[Model], engines: list[Engine], annotated: list[Sequence]) -> dict[str, dict[str, float]]:
    """J, F and J&F of each network with trained weights, exactly as it was measured."""
    found = {}
    for model, engine in zip(models, engines, strict=True):
        if annotated and model.weights is not None:
            mean = mean_score(score_sequences(annotated, engine, Stopwatch()))
            found[model.name] = {"J": mean.J, "F": mean.F, "JF": mean.JF}
            stdout().print(f"{model.name}: J {mean.J:.3f}, F {mean.F:.3f}, J&F {mean.JF:.3f}")
    return found


def _models(names: str, weights: str | None, device: str, threads: int | None, engine: str) -> list[Model]:
    """What to build for each name: given weights go to the model of their architecture."""
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    given = load_engine(weights, None, device, threads).network.config.architecture if weights else None
    if given is not None and given not in wanted:
        raise ConfigError(f"--weights {weights} are of {given}, which is not among --models {names}.")
    made = []
    for name in wanted:
        preset(name)  # refuses unknown names
        known = name if name in shipped_models() or name == "propagation" else None
        chosen = weights if name == given else known
        if chosen is None:
            note(f"{name} is measured with random weights, which take the same time as trained ones.")
        made.append(Model(name, chosen, device, threads, engine if name == "lite" else "torch"))
    return made


def _need_matplotlib(plot: Path | None) -> None:
    if plot is None:
        return
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError('--plot needs matplotlib; install it with: pip install ".[plot]" in the clone') from None


def _row(model: Model, engine: Engine, count: int, timing: Timing, peak: float | None) -> dict[str, Any]:
    return {
        "model": model.name,
        "weights": model.weights or "random",
        "engine": engine.name,
        "objects": count,
        "seconds_per_frame": timing.seconds,
        "modules": timing.modules,
        "peak_mib": peak,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    names = [*MODULES, "other"]
    table = Table("model", "objects", "ms", "ratio", *names, "MiB", box=None, padding=(0, 1, 0, 0))
    fewest = {row["model"]: row["seconds_per_frame"] for row in sorted(rows, key=lambda row: -row["objects"])}
    for row in rows:
        times = [row["seconds_per_frame"], *(row["modules"][name] for name in names)]
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        numbers = [f"{1000 * seconds:.0f}" for seconds in times]
        ratio = f"{row['seconds_per_frame'] / fewest[row['model']]:.2f}"
        table.add_row(row["model"], str(row["objects"]), numbers[0], ratio, *numbers[1:], peak)
    stdout().print(table)
    stdout().print("ms: a frame, and its parts; medians. ratio: to the fewest objects.")
    stdout().print("agnostic: encoder, agnostic module and memory together.")
    stdout().print("MiB: peak of the whole process, libraries included; on a GPU, of its memory alone.")
