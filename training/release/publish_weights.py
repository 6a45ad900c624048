"""Ship a trained network: half precision, SHA-256, an entry in the index, and a model card.

python -m training.release.publish_weights runs/lite --name lite --scores davis2016=eval.json
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agss_model.bounded_json import read_json
from agss_model.errors import AgssError, OutputError, WeightsError
from agss_model.files import write_bytes, write_json
from agss_model.weights.files import read_weights, save_weights
from agss_model.weights.registry import SHIPPED
from training.loop.monitor import LOG, hours_in
from training.loop.settings import from_dict
from training.release.model_card import Training, model_card, read_scores

MAX_BYTES = 20 * 1000 * 1000


@dataclass(frozen=True, kw_only=True)
class PublishedFiles:
    """Files of a shipped network.

    Attributes:
        weights: safetensors in half precision.
        card: model card.
        sha256: of the weights.
    """

    weights: Path
    card: Path
    sha256: str


def publish(
    run: Path,
    name: str,
    *,
    choice: str = "best",
    folder: Path = SHIPPED,
    scores: dict[str, Path] | None = None,
    start: str = "",
) -> PublishedFiles:
    """Write `NAME.safetensors`, `NAME.json`, `NAME.md` and the entry in `index.json`; the index comes last.

    Args:
        run: folder of a training run.
        name: what `load_model` will call it.
        choice: "best" or "latest".
        folder: where shipped networks are.
        scores: files of `agss eval --json`, by what they were measured on.
        start: where the run began, in words, where its settings name only a file.

    Raises:
        WeightsError: the run has no such weights, or its records are missing or damaged.
        OutputError: the file would be too large to ship, or cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise OutputError(f"{name!r} is no name for weights; use small letters, digits, - and _.")
    state, config, metadata = read_weights(run / f"{choice}.safetensors")
    size = sum(
        tensor.numel() * (2 if tensor.is_floating_point() else tensor.element_size()) for tensor in state.values()
    )
    if size > MAX_BYTES:
        raise OutputError(f"{name} would have {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are shipped.")
    training = _training(run, int(metadata.get("step", 0)), start)
    measured = {label: read_scores(path) for label, path in (scores or {}).items()}
    about = {"step": str(training.step), "data": json.dumps(training.provenance["data"]), "licence": "Apache-2.0"}
    weights = folder / f"{name}.safetensors"
    digest = save_weights(weights, state, config, about, dtype=torch.float16)
    card = folder / f"{name}.md"
    text = model_card(name, weights, digest, config, training, measured)
    write_bytes(card, text.encode())
    index = folder / "index.json"
    entries = _read_json(index) if index.exists() else {}
    write_json(index, {**entries, name: {"file": weights.name, "sha256": digest}})
    return PublishedFiles(weights=weights, card=card, sha256=digest)


def _training(run: Path, step: int, start: str) -> Training:
    settings = from_dict(_read_json(run / "run.json"), str(run / "run.json"))
    provenance = _read_json(run / "provenance.json")
    if missing := {"data", "machine", "versions", "commit"} - provenance.keys():
        raise WeightsError(f"{run / 'provenance.json'} does not name {sorted(missing)}; resume the run once.")
    return Training(settings, provenance, step, hours_in(run / LOG, until=step), start)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error}); resuming the run once writes its records anew."
        ) from error


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.release.publish_weights", description=publish.__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--name", default="lite", help="what load_model will call it")
    parser.add_argument("--choice", choices=("best", "latest"), default="best", help="which weights of the run")
    parser.add_argument("--folder", type=Path, default=SHIPPED, help="where shipped networks are")
    parser.add_argument(
        "--scores", action="append", default=[], metavar="LABEL=FILE", help="written by agss eval --json; repeatable"
    )
    parser.add_argument("--start", default="", help="where the run began, in words, for the card")
    given = parser.parse_args(arguments)
    try:
        pairs = [text.partition("=") for text in given.scores]
        if bare := [label for label, _, file in pairs if not file]:
            raise OutputError(f"--scores {bare[0]} names no file; write LABEL=FILE.")
        scores = {label: Path(file) for label, _, file in pairs}
        done = publish(
            given.run, given.name, choice=given.choice, folder=given.folder, scores=scores, start=given.start
        )
    except AgssError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{done.weights}: {done.weights.stat().st_size / 1e6:.2f} MB, SHA-256 {done.sha256}; card {done.card}")


if __name__ == "__main__":
    main()
