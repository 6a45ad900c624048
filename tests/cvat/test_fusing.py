"""Fusing of two directions, by the table that the button's modules are held to as well."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agss_model.fusing import ObjectKeyframes, fuse
from agss_model.tracking.results import FrameResult

TABLE = json.loads((Path(__file__).parent / "cases" / "fusing.json").read_text(encoding="utf-8"))


def result(side: dict) -> FrameResult:
    labels = np.array(side["labels"], np.uint16 if max(side["ids"], default=0) > 255 else np.uint8)
    return FrameResult(1, tuple(side["ids"]), labels[None], {int(i): s for i, s in side["scores"].items()})


@pytest.mark.parametrize("entry", TABLE["fuse"], ids=lambda entry: entry["case"])
def test_fused_masks_are_those_of_the_table(entry):
    progress = {int(i): place for i, place in entry["progress"].items()}
    fused = fuse(result(entry["forward"]), result(entry["backward"]), progress)
    assert fused.label_map.tolist() == [entry["fused"]["labels"]]
    assert fused.object_ids == tuple(entry["fused"]["ids"])
    assert fused.scores == {int(i): score for i, score in entry["fused"]["scores"].items()}


@pytest.mark.parametrize("entry", TABLE["progress"], ids=lambda entry: entry["case"])
def test_places_between_keyframes_are_those_of_the_table(entry):
    told = {int(frame): drawn for frame, drawn in entry["told"].items()}
    by = [{f: frozenset({1}) for f, drawn in told.items() if drawn is kind} for kind in (True, False)]
    assert ObjectKeyframes(*by).progress(entry["frame"]).get(1) == entry["progress"]
