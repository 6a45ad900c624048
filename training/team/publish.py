"""Publish what a fine-tuning found: a bundle with card and gate report, only if the gate accepts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agss_model.bounded_json import read_json
from agss_model.errors import WeightsError
from agss_model.files import sha256_of, write_json
from agss_model.weights.bundles import WEIGHTS, Bundle, add_bundle, check_name, find_bundle
from agss_model.weights.files import read_weights, save_weights
from agss_model.weights.registry import digest_of, shipped_models
from training.annotations.fold_files import folder_of
from training.loop.monitor import LOG, hours_in
from training.loop.settings import from_dict
from training.release.model_card import LICENCE_OF_TEAM, Training, model_card
from training.team.finetune import DATA, RECORD
from training.team.folds import CHOSEN, NOTHING, fold_folder, read_outcome
from training.team.gate import DataSet, Verdict, compare, open_general, open_sets
from training.team.gate_report import write_report
from training.team.measure import Case, open_cases

GATE, PAGE = "gate.json", "gate.html"


class RefusedError(WeightsError):
    """The new weights are worse, or no better."""


@dataclass(frozen=True)
class Candidate:
    """What a run offers.

    Attributes:
        run: folder of the run.
        weights: its best weights, as they will be published: in half precision.
        old: name, place and SHA-256 of the weights it began with.
        step: optimiser steps behind the best weights.
        folds: trainings of the run that left something out, on which the gate judges.
    """

    run: Path
    weights: Path
    old: dict[str, str]
    step: int
    folds: int = 0

    def team_set(self) -> DataSet:
        """What the gate judges on: the held-out videos, or what was left out in turn.

        Raises:
            MediaError: the data of the run are incomplete.
        """
        data = self.run / DATA
        if not self.folds:
            return open_sets([data / "held_out"], ())[0]
        cases, judged_by = list[Case](), dict[str, Path]()
        for number in range(1, self.folds + 1):
            found = open_cases(folder_of(data, number) / "validation")
            cases += found
            judged_by |= {case.name: fold_folder(self.run, number) / CHOSEN for case in found}
        return DataSet("left_out", False, tuple(cases), judged_by)


def candidate(run: Path) -> Candidate:
    """The best weights of a fine-tuning run.

    Raises:
        RefusedError: nothing was learned.
        WeightsError: the folder holds no fine-tuning that has been validated, or it is damaged.
        ConfigError: the record of its outcome is damaged.
    """
    try:
        record = read_json(run / RECORD)
        old = {key: str(record["weights"][key]) for key in ("name", "place", "sha256")}
        folds = int(record.get("folds", 0))
    except FileNotFoundError as error:
        raise WeightsError(f"{run} is no folder of agss finetune: there is no {RECORD} in it") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{run / RECORD} is damaged ({error!r}); fine-tune anew with another --out") from error
    outcome = read_outcome(run)
    if outcome is not None and not outcome.learned:
        raise RefusedError(f"{run}: {outcome.sentence()}")
    best = run / "best.safetensors"
    if not best.is_file() or (folds and outcome is None):
        raise WeightsError(f"{run} has no validated weights yet; go on with agss finetune ... --out {run}")
    state, config, metadata = read_weights(best)
    step = int(metadata.get("step", 0))
    if step == 0:
        raise RefusedError(f"{run}: {NOTHING} so far; go on with agss finetune ... --out {run}")
    about = {"step": str(step), "began_with": f"{old['name']} {old['sha256']}"}
    about |= {"licence": "as the owner of the data decides"}
    weights = run / "candidate.safetensors"
    save_weights(weights, state, config, about, dtype=torch.float16)
    return Candidate(run, weights, old, step, folds)


def judge(
    found: Candidate,
    general: tuple[str, ...],
    *,
    old: str | None = None,
    device: str = "cpu",
    say: Callable[[str], None],
) -> Verdict:
    """Let the gate decide on the videos that were not learned from, and keep its report in the run's folder.

    Args:
        found: what is to be published.
        general: further data sets, see `training.team.gate.open_sets`.
        old: weights in use; None for those the run began with.
        device: where the networks run.
        say: for a line a video.

    Raises:
        AgssError: weights or data cannot be read, or the report cannot be written.
    """
    sets = [found.team_set(), *open_general(general)]
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
        RefusedError: nothing was learned, or the gate refused; its report is in the run's folder.
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
        words = "The gate refused these weights" if record["decision"] == "refused" else "Nothing learned"
        raise RefusedError(f"{words}:\n{reasons}\nSee {run / PAGE}")
    return add_bundle(name, lambda folder, version: _write(folder, f"{name}@{version}", found, record))


def _earlier(run: Path, old: str, found: Candidate, general: tuple[str, ...]) -> dict[str, Any] | None:
    """The report of an earlier judgement of exactly this."""
    try:
        record: dict[str, Any] = read_json(run / GATE)
        hashes = (record["old"]["sha256"], record["new"]["sha256"])
        names = [part["name"] for part in record["sets"]]
        judged_by, _ = set(record["sets"][0]["judged_by"].values()), record["decision"]
    except (OSError, ValueError, KeyError, TypeError, LookupError):
        return None
    same = hashes == (digest_of(old), sha256_of(found.weights))
    same &= judged_by == {sha256_of(fold_folder(run, number) / CHOSEN) for number in range(1, found.folds + 1)}
    expected = ["left_out" if found.folds else "held_out", *(Path(part).name for part in general)]
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
        settings = from_dict(read_json(run / "run.json"), str(run / "run.json"))
        provenance = read_json(path)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the records of {run} cannot be read ({error}); going on with the run once mends them"
        ) from error
    folds = sum(hours_in(fold_folder(run, number) / LOG) for number in range(1, found.folds + 1))
    hours = folds + hours_in(run / LOG, until=found.step)
    return Training(settings, provenance, found.step, hours, found.old["name"])
