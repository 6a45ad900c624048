"""Publish what a fine-tuning found: a bundle with card and gate report, only if the gate accepts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agss_model.errors import WeightsError
from agss_model.files import sha256_of, write_json
from agss_model.weights.bundles import WEIGHTS, Bundle, add_bundle, check_name, find_bundle
from agss_model.weights.files import read_weights, save_weights
from agss_model.weights.registry import digest_of, shipped_models
from training.loop.monitor import LOG, hours_in
from training.loop.settings import from_dict
from training.release.model_card import LICENCE_OF_TEAM, Training, model_card
from training.team.finetune import RECORD
from training.team.gate import Verdict, compare, open_sets
from training.team.gate_report import write_report

GATE, PAGE = "gate.json", "gate.html"


class RefusedError(WeightsError):
    """The gate found the new weights worse."""


@dataclass(frozen=True)
class Candidate:
    """What a run offers.

    Attributes:
        run: folder of the run.
        weights: its best weights, as they will be published: in half precision.
        old: name, place and SHA-256 of the weights it began with.
        step: optimiser steps behind the best weights.
    """

    run: Path
    weights: Path
    old: dict[str, str]
    step: int


def candidate(run: Path) -> Candidate:
    """The best weights of a fine-tuning run.

    Raises:
        WeightsError: the folder holds no fine-tuning that has been validated, or nothing better was found.
    """
    try:
        old = json.loads((run / RECORD).read_text(encoding="utf-8"))["weights"]
        old = {key: str(old[key]) for key in ("name", "place", "sha256")}
    except FileNotFoundError as error:
        raise WeightsError(f"{run} is no folder of agss finetune: there is no {RECORD} in it") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{run / RECORD} is damaged ({error!r}); fine-tune anew with another --out") from error
    best = run / "best.safetensors"
    if not best.is_file():
        raise WeightsError(f"{run} has no validated weights yet; go on with agss finetune ... --out {run}")
    state, config, metadata = read_weights(best)
    step = int(metadata.get("step", 0))
    if step == 0:
        raise WeightsError(
            f"{run} found nothing that validates better than the weights it began with, so there is nothing to "
            "publish; annotate more frames, or more different videos"
        )
    about = {"step": str(step), "began_with": f"{old['name']} {old['sha256']}"}
    about |= {"licence": "as the owner of the data decides"}
    weights = run / "candidate.safetensors"
    save_weights(weights, state, config, about, dtype=torch.float16)
    return Candidate(run, weights, old, step)


def judge(
    found: Candidate,
    general: tuple[str, ...],
    *,
    old: str | None = None,
    device: str = "cpu",
    say: Callable[[str], None],
) -> Verdict:
    """Let the gate decide on the run's held-out videos, and keep its report in the run's folder.

    Args:
        found: what is to be published.
        general: further data sets, see `training.team.gate.open_sets`.
        old: weights in use; None for those the run began with.
        device: where the networks run.
        say: for a line a video.

    Raises:
        AgssError: weights or data cannot be read, or the report cannot be written.
    """
    sets = open_sets([found.run / "data" / "held_out"], general)
    verdict = compare(old or found.old["place"], found.weights, sets, device=device, say=say)
    write_json(found.run / GATE, verdict.record)
    write_report(found.run / PAGE, verdict)
    return verdict


def publish(
    run: Path,
    name: str,
    *,
    general: tuple[str, ...] = (),
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Bundle:
    """Judge and publish the best weights of a run.

    What is published under the name already is what the gate compares with; else the weights the run began with.
    A gate report in the run's folder is used again when it is about the same two files and data sets.

    Raises:
        RefusedError: the gate refused; its report is in the run's folder.
        WeightsError: the run or the name cannot be used.
        OutputError: the store cannot be written.
    """
    check_name(name)
    if name in shipped_models():
        raise WeightsError(f"{name} is the name of weights that are shipped; choose another --name")
    found = candidate(run)
    current = find_bundle(name)
    old = name if current is not None else found.old["place"]
    record = _earlier(run, old, found, general)
    if record is None:
        record = judge(found, general, old=old, device=device, say=say).record
    if not record["accepted"]:
        reasons = "\n".join(f"- {reason}" for reason in record["reasons"])
        raise RefusedError(f"The gate refused these weights:\n{reasons}\nSee {run / PAGE}")
    return add_bundle(name, lambda folder, version: _write(folder, f"{name}@{version}", found, record))


def _earlier(run: Path, old: str, found: Candidate, general: tuple[str, ...]) -> dict[str, Any] | None:
    """The report of an earlier judgement of exactly this."""
    try:
        record: dict[str, Any] = json.loads((run / GATE).read_text(encoding="utf-8"))
        hashes = (record["old"]["sha256"], record["new"]["sha256"])
        names = [part["name"] for part in record["sets"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = hashes == (digest_of(old), sha256_of(found.weights))
    expected = ["held_out", *(Path(part).name for part in general)]
    return record if same and names == expected and (run / PAGE).is_file() else None


def _write(folder: Path, label: str, found: Candidate, record: dict[str, Any]) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(found.weights.read_bytes())
    digest, config = sha256_of(weights), read_weights(weights)[1]
    write_json(folder / "config.json", config.to_dict())
    card = model_card(label, weights, digest, config, _training(found), {}, licence=LICENCE_OF_TEAM, gate=record)
    (folder / "card.md").write_text(card, encoding="utf-8")
    write_json(folder / GATE, record)
    (folder / PAGE).write_bytes((found.run / PAGE).read_bytes())


def _training(found: Candidate) -> Training:
    run, path = found.run, found.run / "provenance.json"
    try:
        settings = from_dict(json.loads((run / "run.json").read_text(encoding="utf-8")), str(run / "run.json"))
        provenance = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the records of {run} cannot be read ({error}); going on with the run once mends them"
        ) from error
    return Training(settings, provenance, found.step, hours_in(run / LOG, until=found.step), found.old["name"])
