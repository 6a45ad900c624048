from __future__ import annotations

import json
import shutil
import time

import cv2
import pytest

from agss_model.cli.plot import draw_plot
from agss_model.tracking.tracker import Tracker

SMALL = ["--size", "96x64", "--frames", "2", "--device", "cpu", "--engine", "torch"]
PARTS = {"flow", "warp", "agnostic", "specific", "decoder", "score", "labels", "other"}


def test_rows_for_every_model_and_count_and_a_plot(agss, tmp_path):
    pytest.importorskip("matplotlib")
    words = ["--models", "lite,rgmp", "--objects", "1,3", "--no-memory"]
    result = agss("bench", *SMALL, *words, "--json", tmp_path / "bench.json", "--plot", tmp_path / "bench.png")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "bench.json").read_text())
    assert [(row["model"], row["objects"]) for row in report["rows"]] == [
        ("lite", 1), ("rgmp", 1), ("lite", 3), ("rgmp", 3),
    ]  # fmt: skip
    for row in report["rows"]:
        assert row["modules"].keys() == PARTS
        assert sum(row["modules"].values()) == pytest.approx(row["seconds_per_frame"], rel=0.5)
        assert row["modules"]["agnostic"] > 0
        assert row["modules"]["decoder"] > 0
        assert (row["modules"]["specific"] > 0) == (row["model"] == "lite")  # rgmp has no such module
    assert {"machine", "versions", "commit"} <= report.keys()
    assert result.stdout.count(" 1.00 ") == 2  # the ratio of each model's fewest objects to itself
    assert cv2.imread(str(tmp_path / "bench.png")) is not None


def test_processor_time_does_not_count_waiting(agss, tmp_path, monkeypatch):
    step = Tracker.step

    def slow(*arguments):
        time.sleep(1)
        return step(*arguments)

    monkeypatch.setattr(Tracker, "step", slow)
    words = ["--models", "lite", "--objects", "1", "--frames", "1", "--no-memory", "--json", tmp_path / "bench.json"]
    for kind, waits in (("wall", True), ("processor", False)):
        result = agss("bench", *SMALL, *words, "--time", kind)
        assert result.exit_code == 0, result.output
        report = json.loads((tmp_path / "bench.json").read_text())
        assert report["time"] == kind
        assert (report["rows"][0]["seconds_per_frame"] > 1) == waits


def test_peak_memory_is_of_a_process_of_its_own(agss, tmp_path):
    result = agss("bench", *SMALL, "--models", "lite", "--objects", "1", "--json", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert row["peak_mib"] is None or 50 < row["peak_mib"] < 2000


def test_given_weights_are_used_for_their_architecture(agss, tmp_path, tiny_weights):
    words = ["--models", "lite", "--objects", "1", "--no-memory", "--weights", tiny_weights]
    result = agss("bench", *SMALL, *words, "--json", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "bench.json").read_text())["rows"][0]["weights"] == str(tiny_weights)
    refused = agss("bench", *SMALL, "--models", "rgmp", "--weights", tiny_weights)
    assert refused.exit_code == 2
    assert "lite" in refused.stderr


def test_accuracy_of_what_was_measured_and_the_engine_are_part_of_the_report(agss, tmp_path, clip):
    davis = tmp_path / "data"
    shutil.copytree(clip / "frames", davis / "JPEGImages" / "pair")
    shutil.copytree(clip / "truth", davis / "Annotations" / "pair")
    words = ["--models", "propagation", "--objects", "1", "--no-memory", "--data", davis]
    result = agss("bench", *SMALL, *words, "--json", tmp_path / "bench.json")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "bench.json").read_text())
    assert 0 < report["accuracy"]["propagation"]["JF"] <= 1
    assert report["rows"][0]["engine"] == "torch"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--objects", "one"],
        ["--objects", "0"],
        ["--objects", "256"],
        ["--size", "854"],
        ["--size", "0x480"],
        ["--models", "vast"],
        ["--frames", "0"],
        ["--json", "missing/bench.json"],
        ["--device", "abacus"],
    ],
)
def test_bad_settings_are_named(agss, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = agss("bench", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert arguments[1] in result.stderr


@pytest.mark.parametrize("name", ["a$^$b", "$x_{", "\udcff\x1b[31m\n", "_x", "日本"])
def test_no_name_of_weights_ends_a_run_when_all_is_measured(tmp_path, name):
    pytest.importorskip("matplotlib")
    row = {"model": name, "objects": 1, "seconds_per_frame": 0.1, "modules": {"flow": 0.05}}
    draw_plot([row, {**row, "objects": 10}], tmp_path / "bench.png", f"on {name}")
    assert (tmp_path / "bench.png").stat().st_size > 1000
