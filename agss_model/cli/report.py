"""What a finished run came to, for people and for programs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from agss_model.adaptation import can_learn
from agss_model.cli.console import stdout
from agss_model.ranges import spans
from agss_model.review import DoubtfulStretch, look_first
from agss_model.runs.given.keyframes import SUFFIXES
from agss_model.runs.run import Run, RunOutcome
from agss_model.runs.scores import Row

LEARN = (
    "The same command with --adapt 2 --overwrite first learns from the masks, for two minutes: it mends most where "
    "bodies turn or many look alike."
)


def print_report(run: Run, outcome: RunOutcome, masks: Path | None = None, words: Sequence[str] = ()) -> None:
    """A table, what to look at first, and last the command that corrects it.

    Args:
        run: the run.
        outcome: what it came to.
        masks: what `--masks` named; None where the objects came from boxes or points.
        words: of the command; none where it has nothing to correct.
    """
    console, traces = stdout(), run.folder.settled
    if outcome.standing == "complete":
        console.print(f"{traces.root} is complete, nothing is left to do; --overwrite tracks again.")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("frames", str(outcome.frames))
    table.add_row("objects", ", ".join(map(str, run.keyframes.ids)))
    table.add_row("weights", f"{run.engine.weights} on {run.engine.device}, {run.engine.name}")
    if outcome.standing == "corrected":
        table.add_row("tracked again", spans(outcome.tracked) or "none")
    if outcome.tracked:
        table.add_row("speed", f"{len(outcome.tracked) / outcome.seconds:.1f} frames per second")
    for name, path in _files(run).items():
        table.add_row(name, str(path))
    console.print(table)
    stretches = look_first(outcome.rows)
    if stretches:
        console.print("Look first at")
        for stretch in stretches:
            console.print(f"  {stretch}")
    elif (worst := _worst(outcome)) is not None:
        console.print(
            f"No score is low; the lowest is {worst.score:.2f} (object {worst.object_id}, frame {worst.frame})."
        )
    if stretches and words:
        if can_learn(run.engine.network.config) and not any(word.partition("=")[0] == "--adapt" for word in words):
            console.print(LEARN)
        console.print(_next_step(stretches[0], run, masks, words))


def _next_step(stretch: DoubtfulStretch, run: Run, masks: Path | None, command: Sequence[str]) -> str:
    """One line: the mask to draw, and the command that takes it in."""
    words, settled, prepare = [word for word in command if word != "--overwrite"], run.folder.settled, ""
    folder = masks if masks is not None and masks.is_dir() and _holds_images(masks) else None
    if folder is None:  # masks of a frame each go into a folder of their own
        image = masks is not None and masks.suffix.lower() in SUFFIXES
        folder = (
            masks.with_name(f"{masks.stem}_masks") if image and masks else settled.root.with_name("masks_to_correct")
        )
        drawn = sorted(run.keyframes.label_maps)
        prepare = (
            f"copy {masks} to {folder / settled.mask(drawn[0]).name}, "
            if image
            else f"copy {', '.join(str(settled.mask(number)) for number in drawn)} into {folder}, "
        )
        words = [*_without(words, ("--masks", "--box", "--points", "--frame")), "--masks", str(folder)]
    place = f"draw object {stretch.object_id} into {folder / settled.mask(stretch.best_frame).name}"
    return f"To correct frame {stretch.best_frame}, {prepare}{place}, then: {shlex.join(['agss', *words])}"


def _holds_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _without(words: list[str], options: tuple[str, ...]) -> list[str]:
    """The command without some of its options and their values."""
    kept, skip = list[str](), False
    for word in words:
        if not skip and word.partition("=")[0] not in options:
            kept.append(word)
        skip = not skip and word in options
    return kept


def print_json(run: Run, outcome: RunOutcome) -> None:
    """One JSON object for a run: frames, objects with their scores, what to look at first, files."""
    tracked = len(outcome.tracked)
    content = {
        "standing": outcome.standing,
        "frames": {
            "first": run.route.frames.start,
            "last": run.route.frames.stop - 1,
            "tracked": list(outcome.tracked),
        },
        "frames_per_second": round(tracked / outcome.seconds, 2) if tracked else None,
        "objects": [
            _about(object_id, run.keyframes.labels.get(object_id), outcome.rows) for object_id in run.keyframes.ids
        ],
        "look_first": [vars(stretch) for stretch in look_first(outcome.rows)],
        "weights": {"name": run.engine.weights, "engine": run.engine.name, "device": str(run.engine.device)},
        "files": {name: str(path) for name, path in _files(run).items()} | {"record": str(run.folder.settled.record)},
    }
    print(json.dumps(content))


def _about(object_id: int, label: str | None, rows: tuple[Row, ...]) -> dict[str, Any]:
    own = [row for row in rows if row.object_id == object_id]
    found = [row for row in own if not row.human]
    worst = min(found, key=lambda row: row.score, default=None)
    return {
        "id": object_id,
        "label": label,
        "frames": len(own),
        "human": [row.frame for row in own if row.human],
        "lost": [row.frame for row in own if row.lost],
        "mean_score": round(sum(row.score for row in found) / len(found), 4) if found else None,
        "lowest_score": None if worst is None else {"frame": worst.frame, "score": worst.score},
    }


def _files(run: Run) -> dict[str, Path]:
    traces = run.folder.settled
    files = {"masks": traces.masks, "scores": traces.scores}
    overlay = traces.overlays if run.overlay == "frames" else traces.overlay
    return files | ({"overlay": overlay} if overlay.exists() else {})


def _worst(outcome: RunOutcome) -> Row | None:
    return min((row for row in outcome.rows if not row.human), key=lambda row: row.score, default=None)
