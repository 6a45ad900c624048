"""`agss eval`: J, F and J&F on a data set, from the first mask of each object."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.table import Table

from agss_model.adaptation import adapted_weights
from agss_model.cli import options
from agss_model.cli.console import ConsoleReport, FrameProgress, say, stdout
from agss_model.clips import follow, propagate
from agss_model.engines.loading import Engine, load_engine
from agss_model.errors import OutputError
from agss_model.evaluation import (
    Layout,
    ObjectScore,
    Sequence,
    SequenceScore,
    SequenceScorer,
    Trustworthiness,
    mean_score,
    open_dataset,
    write_results,
)
from agss_model.evaluation.corrections import STRATEGIES, Strategy, curve
from agss_model.evaluation.trust import JudgedMasks, judged, together
from agss_model.files import check_writable, scratch, write_json
from agss_model.masks.labels import LabelMap
from agss_model.runs.scores import Row, rows_of
from agss_model.system.environment import commit, machine, versions
from agss_model.tracking.results import FrameResult
from agss_model.video.images import ImageFrames
from agss_model.video.source import FrameSource


def evaluate(
    data: Annotated[Path, typer.Option(help="Folder that holds JPEGImages and Annotations.", show_default=False)],
    layout: Annotated[Layout, typer.Option(help="How the data set is laid out and scored.")] = "davis",
    sequences: Annotated[str | None, typer.Option(help="Only these, separated by commas.", show_default="all")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores to this file.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep the predicted masks in this folder.", show_default=False)
    ] = None,
    corrections: Annotated[
        int,
        typer.Option(min=0, max=100, help="Also simulate so many: chosen by list, truth, ruler."),
    ] = 0,
    human_frames: Annotated[
        int, typer.Option(min=1, max=100, help="Frames given: the first, and others spread evenly, tracked both ways.")
    ] = 1,
    adapt: options.Adapt = None,
    weights: options.Weights = None,
    flow: options.Flow = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    max_side: options.MaxSide = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Track the objects of annotated sequences from their first masks, and score the rest.

    Means are over all objects of all sequences, as DAVIS-2017 reports. Seconds per frame are those of tracking, from
    decoded frame to label map, without scoring and writing.
    """
    names = [name.strip() for name in sequences.split(",") if name.strip()] if sequences else None
    chosen = [sequence.drawn_on(human_frames) for sequence in open_dataset(data, layout, names)]
    if json is not None:
        check_writable(json)
    if out is not None and out.exists() and not out.is_dir():
        raise OutputError(f"cannot write masks to {out}: it is a file; choose a folder")

    def load(chosen_weights: str | None) -> Engine:
        return load_engine(chosen_weights, flow, device, threads, seed, max_side=max_side, engine=engine)

    loaded = load(weights)
    clock = Stopwatch()
    judgements = list[JudgedMasks]()
    chosen_engine = loaded if adapt is None else _learning(loaded, load, adapt)
    scores = score_sequences(chosen, chosen_engine, clock, out, judgements)
    mean, trust = mean_score(scores), together(judgements)
    _print_table(scores, mean, clock)
    _print_trust(trust)
    curves = correction_curves(chosen, loaded, corrections) if corrections else {}
    _print_curves(curves)
    if json is not None:
        told = {"human_frames": human_frames, "adapt_minutes": adapt, "trust": None if trust is None else asdict(trust)}
        corrected = {"corrections": _means(curves), "corrections_by_sequence": curves}
        write_json(json, _record(scores, mean, clock, loaded) | told | corrected)


def _learning(base: Engine, load: Callable[[str], Engine], minutes: float) -> Callable[[Sequence], Engine]:
    """For each sequence an engine that has learned from its first masks; nothing of it is kept."""

    def learned(sequence: Sequence) -> Engine:
        first = {number: read() for number, read in sequence.first_masks.items()}
        with scratch() as folder, ImageFrames(sequence.frames, name=sequence.name) as source:
            return load(adapted_weights(base.weights, source, first, folder, ConsoleReport(), minutes))

    return learned


class Stopwatch:
    """Adds up the time between asking for a result and getting it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.frames = 0

    def timed(self, results: Iterator[FrameResult]) -> Iterator[FrameResult]:
        """Yield the same results, and add up the time that each took."""
        while True:
            began = time.perf_counter()
            result = next(results, None)
            self.seconds += time.perf_counter() - began
            if result is None:
                return
            self.frames += 1
            yield result

    @property
    def seconds_per_frame(self) -> float:
        """Mean time of a frame, in seconds."""
        return self.seconds / max(self.frames, 1)


def score_sequences(
    chosen: Iterable[Sequence],
    engine: Engine | Callable[[Sequence], Engine],
    clock: Stopwatch,
    out: Path | None = None,
    judgements: list[JudgedMasks] | None = None,
) -> list[SequenceScore]:
    """Track and score, and say so after each sequence.

    Args:
        chosen: annotated sequences.
        engine: what to track with, or what gives it for a sequence.
        clock: gets the time of tracking.
        out: folder to keep the masks in.
        judgements: get the tracker's own scores against the truth, one entry a sequence.

    Raises:
        AgssError: a file of the data set cannot be used, or `out` cannot be written.
    """
    scores = []
    for sequence in chosen:
        one = engine if isinstance(engine, Engine) else engine(sequence)
        score, found = _evaluate(sequence, one, clock, out)
        scores.append(score)
        if judgements is not None:
            judgements.append(found)
        say(f"{len(scores)}: {sequence.name}, J&F {scores[-1].JF:.3f}")
    return scores


def _evaluate(
    sequence: Sequence, engine: Engine, clock: Stopwatch, out: Path | None
) -> tuple[SequenceScore, JudgedMasks]:
    given, rows = sequence.first_masks, list[Row]()
    numbers = range(min(given), len(sequence.frames))
    scorer = SequenceScorer(sequence)
    with (
        ImageFrames(sequence.frames, name=sequence.name) as source,
        FrameProgress(sequence.name, len(numbers)) as progress,
    ):

        def predictions() -> Iterator[tuple[int, LabelMap]]:
            for result in clock.timed(_results(sequence, source, engine, numbers)):
                scorer.add(result.frame_index, result.label_map)
                rows.extend(rows_of(result))
                progress.advance()
                yield result.frame_index, result.label_map

        if out is not None:
            write_results(out, sequence, predictions())
        else:
            for _ in predictions():
                pass
    return scorer.result(), judged(rows, scorer.ious())


def _results(sequence: Sequence, source: FrameSource, engine: Engine, numbers: range) -> Iterator[FrameResult]:
    """Forward from the first masks; between frames that are given both ways, as people track such clips."""
    if not sequence.given:
        return follow(source, sequence.first_masks, engine.tracker(), numbers)
    drawn = {number: read() for number, read in sequence.first_masks.items()}
    return propagate(source, drawn, engine.network, start=numbers.start, stop=numbers.stop, flow=engine.flow)


def correction_curves(chosen: Iterable[Sequence], engine: Engine, count: int) -> dict[Strategy, dict[str, list[float]]]:
    """By who chooses the frame, and by sequence: the mean IoU after 0, 1, ... corrections.

    A sequence in which nothing is left to correct stays as good as it is.
    """
    curves: dict[Strategy, dict[str, list[float]]] = {strategy: {} for strategy in STRATEGIES}
    for sequence in chosen:
        numbers = range(min(sequence.first_masks), len(sequence.frames))

        def track(
            given: Mapping[int, Callable[[], LabelMap]], sequence: Sequence = sequence, numbers: range = numbers
        ) -> Iterator[FrameResult]:
            with ImageFrames(sequence.frames, name=sequence.name) as source:
                yield from follow(source, given, engine.tracker(), numbers)

        for strategy in STRATEGIES:
            values = curve(sequence, track, strategy, count)
            curves[strategy][sequence.name] = values + values[-1:] * (count + 1 - len(values))
    return curves


def _means(curves: Mapping[Strategy, Mapping[str, list[float]]]) -> dict[Strategy, list[float]]:
    """The mean over sequences after each correction."""
    return {who: [fmean(step) for step in zip(*found.values(), strict=True)] for who, found in curves.items()}


def _print_curves(curves: Mapping[Strategy, Mapping[str, list[float]]]) -> None:
    if not curves:
        return
    means = _means(curves)
    table = Table("mean IoU after corrections", *map(str, range(len(means["list"]))), "largest fall")
    for who, values in means.items():
        table.add_row(who, *(f"{value:.3f}" for value in values), _largest_fall(curves[who]))
    stdout().print(table)


def _largest_fall(found: Mapping[str, list[float]]) -> str:
    """The step by which one correction made one sequence worst: a correction should never cost anything."""
    falls = {name: max(a - b for a, b in pairwise(values)) for name, values in found.items()}
    name = max(falls, key=falls.__getitem__)
    return f"{falls[name]:.3f}, {name}" if falls[name] > 0 else "none"


def _record(scores: list[SequenceScore], mean: ObjectScore, clock: Stopwatch, engine: Engine) -> dict[str, Any]:
    return {
        "mean": _values(mean),
        "sequences": {
            score.name: {
                **_values(score),
                "objects": len(score.objects),
                "per_object": {str(object_id): _values(value) for object_id, value in score.objects.items()},
            }
            for score in scores
        },
        "seconds_per_frame": clock.seconds_per_frame,
        "frames": clock.frames,
        "weights": {"name": engine.weights, "parameters": engine.fingerprint()},
        "engine": engine.name,
        "config": engine.network.config.to_dict(),
        "versions": versions(),
        "machine": machine(engine.device),
        "commit": commit(),
    }


def _values(score: ObjectScore | SequenceScore) -> dict[str, float]:
    return {"J": score.J, "F": score.F, "JF": score.JF}


def _print_table(scores: list[SequenceScore], mean: ObjectScore, clock: Stopwatch) -> None:
    table = Table("sequence", "objects", "J", "F", "J&F")
    for score in scores:
        table.add_row(score.name, str(len(score.objects)), f"{score.J:.3f}", f"{score.F:.3f}", f"{score.JF:.3f}")
    table.add_section()
    count = str(sum(len(score.objects) for score in scores))
    table.add_row("mean over objects", count, f"{mean.J:.3f}", f"{mean.F:.3f}", f"{mean.JF:.3f}")
    stdout().print(table)
    stdout().print(f"{clock.seconds_per_frame:.3f} s per frame for tracking, over {clock.frames} frames")


def _print_trust(trust: Trustworthiness | None) -> None:
    """How far the tracker's own scores can be relied on."""
    if trust is None:
        return

    def shown(value: float | None, form: str) -> str:
        return "none to tell" if value is None else format(value, form)

    table = Table(f"scores of {trust.masks} masks", "", show_header=True)
    table.add_row("mean score; mean IoU", f"{trust.mean_score:.3f}; {trust.mean_iou:.3f}")
    table.add_row("calibration error", f"{trust.calibration_error:.3f}")
    table.add_row("AUC for IoU < 0.5", shown(trust.auc_bad, ".3f"))
    table.add_row("AUC for IoU < 0.8", shown(trust.auc_poor, ".3f"))
    table.add_row("of masks below 0.5 named for review", shown(trust.named_bad, ".1%"))
    table.add_row("of masks above 0.8 named for review", shown(trust.named_good, ".1%"))
    stdout().print(table)
