"""The page that goes with shipped weights: where they come from, what they reach, where they end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agss_model.bounded_json import read_json
from agss_model.config import AgssConfig
from agss_model.errors import WeightsError
from training.loop.settings import RunConfig, Stage


@dataclass(frozen=True)
class Training:
    """How weights were trained.

    Attributes:
        run: settings.
        provenance: data, machine, versions and commit, as the run wrote them.
        step: optimiser steps behind these weights.
        hours: spent on them.
        start: name of the weights they began with; empty for what `run.init` says.
    """

    run: RunConfig
    provenance: dict[str, Any]
    step: int
    hours: float
    start: str = ""


@dataclass(frozen=True)
class Scores:
    """What `agss eval --json` measured.

    Attributes:
        rows: sequence, J, F and J&F; the mean over objects last.
        seconds: per frame.
        machine: where.
    """

    rows: list[tuple[str, float, float, float]]
    seconds: float
    machine: str


def read_scores(path: Path) -> Scores:
    """Read a file of `agss eval --json`.

    Raises:
        WeightsError: it is missing or something else.
    """
    try:
        found = read_json(path)
        named = [*found["sequences"].items(), ("mean over objects", found["mean"])]
        rows = [(str(name), float(row["J"]), float(row["F"]), float(row["JF"])) for name, row in named]
        return Scores(rows, float(found["seconds_per_frame"]), _machine(found["machine"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is not a file of scores ({error!r}); write one with agss eval --json.") from error


def model_card(
    name: str,
    weights: Path,
    sha256: str,
    config: AgssConfig,
    training: Training,
    scores: dict[str, Scores],
    *,
    licence: str = "",
    gate: dict[str, Any] | None = None,
) -> str:
    """The card as Markdown; with the gate's record instead of scores where there is one."""
    sections = [
        f"# Weights `{name}`\n\n{_facts(weights, sha256, config, training)}",
        f"## Training data\n\n{_data(training, _unseen(gate))}",
        f"## Training\n\n{_run(training)}",
        f"## Scores\n\n{_gate(gate) if gate else _scores(scores)}",
        f"## Limits\n\n{_limits(training)}",
        f"## Licence\n\n{licence or LICENCE}",
    ]
    return "\n\n".join(sections) + "\n"


LICENCE = (
    "The weights are shared under Apache-2.0 like the code. They were learned from the data sets above, most of which "
    "are academic and state no commercial licence; whoever needs certainty about that trains anew on data of their own "
    "with the same command. No picture of those sets is part of this package."
)

LICENCE_OF_TEAM = (
    "These weights began with others and were trained further on a team's own videos: whoever owns those decides who "
    "may have the weights. What the card of the weights they began with says about licences holds as well."
)


def _facts(weights: Path, sha256: str, config: AgssConfig, training: Training) -> str:
    lines = (
        ("architecture", f"`{config.architecture}`, flow `{config.flow if config.use_flow else 'none'}`"),
        ("file", f"`{weights.name}`, {weights.stat().st_size / 1e6:.2f} MB, half precision (computed in float32)"),
        ("SHA-256", f"`{sha256}`"),
        ("commit of the training", f"`{training.provenance['commit'] or 'not known'}`"),
    )
    return "\n".join(f"- {what}: {value}" for what, value in lines)


UNSEEN = "Nothing of `davis2016_dev`, `multi_dev` or `video_dev` was trained on."
UNSEEN_OF_TEAM = "The videos that the gate measures on were kept out of training."
LEFT_OUT_IN_TURN = (
    "All videos of the team were learned from; the gate judges each by weights of the same training that left it out."
)


def _unseen(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return UNSEEN
    return LEFT_OUT_IN_TURN if any(found.get("judged_by") for found in gate["sets"]) else UNSEEN_OF_TEAM


def _data(training: Training, kept: str) -> str:
    counts = training.provenance["data"]
    table = "\n".join(f"| {name} | {count} |" for name, count in counts.items())
    kinds = ", ".join(sorted({source.kind for source in training.run.sources}))
    held = f" {training.run.validation_stills} more stills were kept for validation." if "stills" in kinds else ""
    return (
        f"Sources: {kinds}. Stills become clips by synthesis (`training/synthesis/`); every count is of stills or "
        f"sequences.{held} {kept}\n\n"
        f"| set | count |\n|---|---|\n{table}\n| all | {sum(counts.values())} |"
    )


def _run(training: Training) -> str:
    run, about = training.run, training.provenance
    stages = "; ".join(_stage(stage) for stage in run.stages)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = (
        ("start", f"{training.start or f'`{run.init}`'}, seed {run.seed}"),
        ("steps", f"{training.step} of {run.total_steps}, {training.hours:.1f} hours"),
        ("stages", stages),
        ("optimiser", f"{run.optimizer}, lr {run.lr}, encoder {run.encoder_lr}, weight decay {run.weight_decay}"),
        ("frozen", ", ".join(run.frozen) or f"{run.frozen_blocks} blocks of the encoder"),
        ("moving average", str(run.ema)),
        ("kept of the weights it started from", f"{run.kept:.0%}"),
        ("precision", run.mixed_precision),
        ("hardware", _machine(about["machine"])),
        ("versions", versions),
    )
    return "\n".join(f"- {what}: {value}" for what, value in lines)


def _stage(stage: Stage) -> str:
    shape = stage.shape
    return f"{stage.steps} steps of {shape.batch} clips x {shape.frames} frames at {shape.width}x{shape.height}"


def _gate(record: dict[str, Any]) -> str:
    """What the gate measured, old and new."""
    parts = []
    for found in record["sets"]:
        rows = [*found["videos"].items(), ("all", found)]
        lines = "\n".join(
            f"| {name} | {row['old']['JF']:.3f} | {row['new']['JF']:.3f} | {row['old']['corrections']} "
            f"| {row['new']['corrections']} |"
            for name, row in rows
        )
        kept = "videos of the team, each left out in turn" if found.get("judged_by") else "held-out videos of the team"
        kind = "general set" if found["general"] else kept
        parts.append(
            f"`{found['name']}` ({kind}); old weights `{record['old']['name']}`; a correction is a true mask given "
            f"where an object falls below IoU {record['wanted_iou']}:\n\n"
            f"| video | J&F old | J&F new | corrections old | new |\n|---|---|---|---|---|\n{lines}"
        )
    return "\n\n".join(parts)


def _scores(scores: dict[str, Scores]) -> str:
    if not scores:
        return "None were measured when this card was written; measure with `agss eval`."
    parts = []
    for label, score in scores.items():
        rows = "\n".join(f"| {name} | {j:.3f} | {f:.3f} | {jf:.3f} |" for name, j, f, jf in score.rows)
        parts.append(
            f"`{label}`, masks of the first frame only, {score.seconds:.3f} s per frame on {score.machine}:\n\n"
            f"| sequence | J | F | J&F |\n|---|---|---|---|\n{rows}"
        )
    return "\n\n".join(parts)


def _limits(training: Training) -> str:
    shapes = [stage.shape for stage in training.run.stages]
    longest, largest = max(s.frames for s in shapes), max(max(s.width, s.height) for s in shapes)
    lines = [
        f"- Trained on clips of at most {longest} frames with sides of at most {largest} pixels; longer videos and "
        "larger frames work, but errors add up over time, so correct a mask where the score falls.",
        f"- Objects below {training.run.synthesis.minimum:.1%} of the frame were hardly seen in training.",
    ]
    if {source.kind for source in training.run.sources} == {"stills"}:
        lines.append(
            "- All motion in training was synthetic: bodies that turn and show another side, shadows, smoke, water "
            "and look-alikes that touch are harder than the scores suggest."
        )
    return "\n".join(lines)


def _machine(values: dict[str, Any]) -> str:
    names = ("gpu", "cpu", "threads", "processes")
    return ", ".join(
        f"{values[name]}" if name in ("gpu", "cpu") else f"{name} {values[name]}" for name in names if name in values
    )
