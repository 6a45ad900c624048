from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from little_clip import COUNT, HEIGHT, WIDTH

from agss_model.cli.evaluate import _largest_fall
from agss_model.evaluation import boundary_f, region_similarity
from agss_model.masks import read_label_map, write_label_map


@pytest.fixture
def dataset(clip, tmp_path):
    """Two sequences as DAVIS lays them out: `pair` with two objects, `one` with the first of them."""
    root = tmp_path / "data"
    for name in ("pair", "one"):
        shutil.copytree(clip / "frames", root / "JPEGImages" / name)
        shutil.copytree(clip / "truth", root / "Annotations" / name)
    for path in (root / "Annotations" / "one").iterdir():
        label_map = read_label_map(path)
        write_label_map(path, np.where(label_map == 1, 1, 0).astype(np.uint8))
    return root


def test_scores_agree_with_the_masks_it_keeps(agss, dataset, tmp_path):
    json_file, out = tmp_path / "scores.json", tmp_path / "masks"
    result = agss("eval", "--data", dataset, "--json", json_file, "--out", out)
    assert result.exit_code == 0, result.output
    report = json.loads(json_file.read_text())
    values = {}
    for name, ids in (("pair", (1, 2)), ("one", (1,))):
        for object_id in ids:
            per_frame = []
            for number in range(1, COUNT - 1):  # DAVIS leaves out the first and the last frame
                file = f"{name}/{number:05d}.png"
                found, truth = read_label_map(out / file), read_label_map(dataset / "Annotations" / file)
                one, two = found == object_id, truth == object_id
                per_frame.append((region_similarity(one, two), boundary_f(one, two)))
            values[name, object_id] = np.mean(per_frame, axis=0)
    assert report["sequences"]["pair"]["objects"] == 2
    assert report["sequences"]["pair"]["J"] == pytest.approx(np.mean([values["pair", i][0] for i in (1, 2)]))
    assert report["sequences"]["one"]["F"] == pytest.approx(values["one", 1][1])
    assert report["sequences"]["pair"]["per_object"]["2"]["J"] == pytest.approx(values["pair", 2][0])
    j, f = np.mean(list(values.values()), axis=0)  # every object counts the same, not every sequence
    assert report["mean"] == pytest.approx({"J": j, "F": f, "JF": (j + f) / 2})
    assert 0 < report["seconds_per_frame"] < 10
    assert report["frames"] == 2 * COUNT
    assert {"versions", "machine", "weights"} <= report.keys()


def test_only_the_named_sequences_are_run_in_that_order(agss, dataset, tmp_path):
    result = agss("eval", "--data", dataset, "--sequences", "one", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    assert list(json.loads((tmp_path / "s.json").read_text())["sequences"]) == ["one"]


def test_more_human_frames_are_given_and_left_out_of_the_scores(agss, dataset, tmp_path):
    json_file, out = tmp_path / "scores.json", tmp_path / "masks"
    result = agss(*f"eval --data {dataset} --sequences pair --human-frames 3 --json {json_file} --out {out}".split())
    assert result.exit_code == 0, result.output
    report = json.loads(json_file.read_text())
    assert report["human_frames"] == 3
    given = (0, COUNT // 2 - 1, COUNT - 2)
    for number in given:
        name = f"pair/{number:05d}.png"
        np.testing.assert_array_equal(read_label_map(out / name), read_label_map(dataset / "Annotations" / name))
    found = [read_label_map(out / "pair" / f"{n:05d}.png") == 2 for n in range(COUNT)]
    truth = [read_label_map(dataset / "Annotations/pair" / f"{n:05d}.png") == 2 for n in range(COUNT)]
    scored = [region_similarity(found[n], truth[n]) for n in range(1, COUNT - 1) if n not in given]
    assert report["sequences"]["pair"]["per_object"]["2"]["J"] == pytest.approx(np.mean(scored))


def test_corrections_are_told_by_sequence_and_in_the_mean(agss, dataset, tmp_path):
    result = agss("eval", "--data", dataset, "--corrections", "2", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    assert "largest fall" in result.output
    report = json.loads((tmp_path / "s.json").read_text())
    assert set(report["corrections"]) == {"list", "worst", "evenly"}
    for who, means in report["corrections"].items():
        found = report["corrections_by_sequence"][who]
        assert list(found) == ["one", "pair"]
        assert all(len(values) == 3 for values in found.values())
        assert means == pytest.approx(np.mean(list(found.values()), axis=0))
        assert means[2] >= means[0]


def test_the_largest_fall_is_named():
    assert _largest_fall({"a": [0.5, 0.6, 0.58], "b": [0.7, 0.7, 0.6]}) == "0.100, b"
    assert _largest_fall({"a": [0.5, 0.6], "b": [0.7, 0.7]}) == "none"


def test_youtube_vos_gives_each_object_its_own_first_mask(agss, clip, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(clip / "frames", root / "JPEGImages" / "video")
    (root / "Annotations" / "video").mkdir(parents=True)
    for number in (0, 5, 9):
        label_map = read_label_map(clip / "truth" / f"{number:05d}.png")
        if number == 0:  # the second object enters at frame 5
            label_map[label_map == 2] = 0
        write_label_map(root / "Annotations" / "video" / f"{number:05d}.png", label_map)
    out = tmp_path / "masks"
    result = agss("eval", "--data", root, "--layout", "youtube-vos", "--out", out, "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    found = [read_label_map(out / "Annotations" / "video" / f"{n:05d}.png") for n in range(COUNT)]
    assert [2 in label_map for label_map in found[:6]] == [False] * 5 + [True]
    assert json.loads((tmp_path / "s.json").read_text())["sequences"]["video"]["objects"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--sequences", "three"], "three"),
        (["--json", "missing/folder/scores.json"], "scores.json"),
        (["--json", "."], "folder"),
    ],
)
def test_bad_input_is_refused_before_tracking(agss, dataset, monkeypatch, arguments, words):
    monkeypatch.chdir(dataset)
    result = agss("eval", *(["--data", dataset] if "--data" not in arguments else []), *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr


def test_predictions_of_another_size_than_the_annotation_are_refused(agss, dataset):
    write_label_map(dataset / "Annotations" / "one" / "00003.png", np.ones((HEIGHT, WIDTH + 1), np.uint8))
    result = agss("eval", "--data", dataset, "--sequences", "one")
    assert result.exit_code == 2
    assert f"{WIDTH + 1}x{HEIGHT}" in result.stderr
