"""Few videos: each is left out in turn, then all are learned from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from team_data import little_weights, write_export
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import ConfigError, WeightsError
from agss_model.files import is_leftover, sha256_of
from agss_model.weights.bundles import find_bundle
from training.annotations.catalog import open_catalog
from training.annotations.fold_files import folder_of, pieces
from training.annotations.prepare import PreparedFolder, prepare
from training.data.sparse import SparseClips
from training.team import finetune, publish
from training.team.finetune import FinetuneOptions, as_text, plan
from training.team.folds import CHOSEN, choose, learn, read_outcome
from training.train import train


def prepared(root, **videos):
    """A prepared folder of videos with the annotated frames that are given by name."""
    sources = []
    for seed, (name, annotated) in enumerate(videos.items()):
        seed = 0 if name.startswith("same") else seed
        sources.append(str(write_export(root / f"of-{name}", name=name, annotated=annotated, seed=seed)))
    return prepare(lambda: open_catalog(sources), root / "run" / "data", {}, say=lambda text: None)


def files(fold, part, kind="JPEGImages"):
    return {(path.parent.name, int(path.stem)) for path in (fold / part / kind).rglob("*.*")}


def stills(fold):
    return {path.stem for path in (fold / "stills" / "images").iterdir()}


def test_pieces_are_what_follows_one_another():
    whole = (0, 4, 8, 11)
    assert pieces("v", whole, whole) == {"v": whole}
    assert pieces("v", (0, 4, 11), whole) == {"v-frames-0-4": (0, 4), "v-frames-11-11": (11,)}
    assert pieces("v", (), whole) == {}


def test_no_frame_of_a_video_that_is_left_out_is_in_the_training(tmp_path):
    """v and same share footage, so that they are left out together."""
    done = prepared(tmp_path, v=(0, 4, 8), w=(0, 5, 11), same=(0, 8))
    assert set(done.frames("train")) == {"v", "w", "same"}
    assert {frozenset(names) for names in done.folds} == {frozenset({"v", "same"}), frozenset({"w"})}
    for number, names in enumerate(done.folds, 1):
        fold = folder_of(done.root, number)
        learned, measured = ({name for name, _ in files(fold, part)} for part in ("train", "validation"))
        assert measured == set(names)
        assert learned == {"v", "w", "same"} - measured
        assert {name.split("__")[1].split("-")[0] for name in stills(fold)} == learned
        assert {path.stem for path in (fold / "train" / "Annotations").rglob("*.png")} == {
            f"{frame:06d}" for name in learned for frame in done.frames("train")[name]
        }


def test_no_frame_of_a_stretch_that_is_left_out_is_in_the_training(tmp_path):
    done = prepared(tmp_path, only=(0, 2, 4, 6, 8, 10))
    seen = set()
    for number in (1, 2, 3):
        fold = folder_of(done.root, number)
        learned, measured = files(fold, "train"), files(fold, "validation")
        [stretch] = {name for name, _ in measured}
        assert {frame for _, frame in measured} == set(range(*(int(n) for n in stretch.split("-")[-2:]))) | {
            int(stretch.split("-")[-1])
        }
        assert not {frame for _, frame in learned} & {frame for _, frame in measured}
        annotated = {frame for _, frame in files(fold, "train", "Annotations")}
        assert {int(name[-6:]) for name in stills(fold)} == annotated
        assert len(annotated) == 4
        seen |= {frame for _, frame in files(fold, "validation", "Annotations")}
    assert seen == {0, 2, 4, 6, 8, 10}
    assert len(files(folder_of(done.root, 2), "train")) == 6  # 0 to 2 and 8 to 10, not what lies between


def test_what_a_frame_does_not_tell_stays_unknown_in_the_pieces(tmp_path):
    """Frame 8 was told about object 1 only."""
    source = write_export(tmp_path / "s", name="only", annotated=(0, 2, 8, 10))
    text = (source / "annotations.xml").read_text()
    tracks = text.split("<track ")
    kept = [part for part in tracks if not ('frame="8"' in part and 'group_id="2"' in part)]
    assert len(kept) == len(tracks) - 1
    (source / "annotations.xml").write_text("<track ".join(kept))
    done = prepare(lambda: open_catalog([str(source)]), tmp_path / "data", {}, say=lambda text: None)
    known = {
        part: json.loads((folder_of(done.root, number) / part / "known.json").read_text())
        for number, part in ((1, "train"), (2, "validation"))
    }
    assert known["train"] == {"only-frames-8-10": {"000008": [1]}}
    assert known["validation"] == {}  # object 2 comes in at frame 10 there


def test_the_step_is_chosen_where_the_mean_is_best():
    """Alone the first would stop at 10 and the second at 30; together 20 is best, and 40 only one of them has."""
    one, two = {0: 0.50, 10: 0.70, 20: 0.66, 30: 0.50}, {0: 0.40, 10: 0.44, 20: 0.52, 30: 0.60, 40: 0.99}
    steps, mean = choose([one, two])
    assert steps == 20
    assert mean == pytest.approx({0: 0.45, 10: 0.57, 20: 0.59, 30: 0.55})
    assert choose([{0: 0.5, 10: 0.4}, {0: 0.5, 10: 0.6}])[0] == 0  # no better than the first weights
    assert choose([{0: 0.5, 10: 0.7, 20: 0.7}])[0] == 10  # the earlier of two


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return little_weights(tmp_path_factory.mktemp("weights") / "start.safetensors")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two videos with three and two annotated frames, laid out."""
    return prepared(tmp_path_factory.mktemp("two"), a=(0, 4, 8), b=(0, 6))


def planned(data, out, start, **more):
    """A plan of few steps, with a copy of the data in its folder."""
    shutil.copytree(data.root, out / "data")
    wishes = FinetuneOptions(**{"weights": str(start), "steps": 2, "minutes": 0, "size": 64} | more)
    return plan(PreparedFolder(out / "data", data.record), out, wishes)


@pytest.fixture
def quick(monkeypatch):
    """Nothing is timed, and every step is validated by what `scores` says next."""
    scores = []
    monkeypatch.setattr(finetune, "_timed", lambda run, out: {"start": 1.0, "step": 1.0})
    monkeypatch.setattr(finetune, "_validate_every", lambda steps: 1)
    monkeypatch.setattr("training.train.mean_iou", lambda loss, clips: scores.pop(0))
    return scores


def test_the_time_is_shared_out(two, start, tmp_path, quick):
    """Three trainings of one second before the first step and one a step, in three minutes."""
    for name, minutes, steps, seconds in (("a", 3, 59, 180), ("b", 60, 120, 363)):
        (tmp_path / name).mkdir()
        made = planned(two, tmp_path / name, start, steps=0, minutes=minutes)
        assert (made.folds, made.run.total_steps, made.seconds) == (2, steps, seconds)
    text = "\n".join(as_text(made, two))
    assert "learning from 5 annotated frames of a, b" in text
    assert "2 trainings of 120 steps" in text
    assert "about 6 minutes at most on this machine (1.00 s a step)" in text


@pytest.mark.slow
def test_two_videos_of_few_frames_are_both_learned_from(two, start, tmp_path, quick, monkeypatch):
    """The second step is better for one and worse for the other; in the mean the first one is best."""
    opened = []
    cut = SparseClips._cut

    def noted(self, video, *rest):
        opened.append(video.files[0])
        return cut(self, video, *rest)

    monkeypatch.setattr(SparseClips, "_cut", noted)
    monkeypatch.setattr(finetune, "TEAM", 1e6)
    quick[:] = [0.5, 0.6, 0.65, 0.5, 0.6, 0.4]
    made = planned(two, tmp_path, start)
    outcome = learn(made, two, tmp_path, lambda text: None)
    assert (outcome.steps, outcome.curve) == (1, pytest.approx({0: 0.5, 1: 0.6, 2: 0.525}))
    assert [curve for _, curve in outcome.folds] == [{0: 0.5, 1: 0.6, 2: 0.65}, {0: 0.5, 1: 0.6, 2: 0.4}]
    assert [list(names) for names, _ in outcome.folds] == two.folds
    assert read_outcome(tmp_path) == outcome
    assert json.loads((tmp_path / "outcome.json").read_text())["outcome"] == "learned"
    of_folds = [path for path in opened if "folds" in path.parts]
    for number, left_out in enumerate(two.folds, 1):
        learned = {p.parent.name for p in of_folds if p.parts[-5:-3] == (str(number), "train")}
        assert learned == {"a", "b"} - set(left_out)
    assert {path.parent.name for path in opened if "folds" not in path.parts} <= {"a", "b"}
    assert {folder.name for folder in (tmp_path / "data" / "train" / "JPEGImages").iterdir()} == {"a", "b"}
    before, after = load_file(start), load_file(tmp_path / "best.safetensors")
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert len(list(tmp_path.glob(f"folds/*/{CHOSEN}"))) == 2
    assert not list(tmp_path.rglob("validated-*"))


def test_where_nothing_is_better_nothing_is_learned_and_nothing_published(two, start, tmp_path, quick, monkeypatch):
    monkeypatch.setenv("AGSS_WEIGHTS_DIR", str(tmp_path / "store"))
    quick[:] = [0.5, 0.7, 0.5, 0.3]
    run = tmp_path / "run"
    run.mkdir()
    outcome = learn(planned(two, run, start, steps=1), two, run, lambda text: None)
    assert not outcome.learned
    assert outcome.sentence().startswith("nothing learned: IoU 0.500 before the first step, 0.500 at best after it")
    assert json.loads((run / "outcome.json").read_text())["outcome"] == "nothing learned"
    assert not list(run.rglob("validated-*"))
    with pytest.raises(publish.RefusedError, match="nothing learned"):
        publish.candidate(run)
    done = CliRunner().invoke(app, ["publish", str(run), "--name", "team"])
    assert done.exit_code == 3
    assert "nothing learned" in done.output
    (run / "outcome.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"outcome\.json is damaged"):
        read_outcome(run)


@pytest.mark.slow
def test_a_run_that_is_interrupted_in_the_second_fold_ends_with_the_same_weights(
    two, start, tmp_path, monkeypatch, quick
):
    """The further from the first weights the better, so that the last of two steps is chosen."""
    first = load_file(start)

    def far(loss, clips):
        moved = {name: value for name, value in loss.network.state_dict().items() if name.startswith("decoder.")}
        return float(sum((value - first[name]).abs().sum() for name, value in moved.items()))

    monkeypatch.setattr("training.train.mean_iou", far)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out in (whole, parts):
        out.mkdir()
    outcome = learn(planned(two, whole, start), two, whole, lambda text: None)
    assert outcome.steps == 2
    made = planned(two, parts, start)
    calls = []

    def stopped(run, options):
        calls.append(options.out.name)
        return train(run, replace(options, steps=1) if options.out.name == "2" else options)

    monkeypatch.setattr("training.team.folds.train", stopped)
    assert learn(made, two, parts, lambda text: None) is None
    with pytest.raises(WeightsError, match="no validated weights yet"):
        publish.candidate(parts)
    monkeypatch.setattr("training.team.folds.train", train)
    assert learn(made, two, parts, lambda text: None) == outcome
    assert calls == ["1", "2"]
    for name in ("best.safetensors", f"folds/1/{CHOSEN}", f"folds/2/{CHOSEN}"):
        one, other = load_file(whole / name), load_file(parts / name)
        assert all(torch.equal(one[key], other[key]) for key in one)
    left = [{str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} for out in (whole, parts)]
    left = [{name for name in names if "tensorboard/" not in name} for names in left]
    assert left[0] == left[1]
    assert not [name for name in left[1] if is_leftover(name.rsplit("/", 1)[-1]) or "lock" in name]


@pytest.mark.slow
def test_one_recording_is_learned_from_whole_and_published_by_its_stretches(start, tmp_path, quick, monkeypatch):
    monkeypatch.setenv("AGSS_WEIGHTS_DIR", str(tmp_path / "store"))
    monkeypatch.setattr("training.team.gate._complaints", lambda found, rules: [])
    monkeypatch.setattr("training.team.gate._better", lambda found, rules: True)
    source, run = write_export(tmp_path / "s", name="only", annotated=(0, 3, 6, 9)), tmp_path / "run"
    quick[:] = [0.5, 0.6] * 2
    command = ["finetune", str(source), "--out", str(run), "--weights", str(start), "--steps", "1", "--size", "64"]
    done = CliRunner().invoke(app, [*command, "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert "learned in 1 steps" in done.output
    done = CliRunner().invoke(app, ["publish", str(run), "--name", "team", "--general", "none"])
    assert done.exit_code == 0, done.output
    record = json.loads((run / "gate.json").read_text())
    [found] = record["sets"]
    assert set(found["videos"]) == set(found["judged_by"]) == {"only-frames-0-3", "only-frames-6-9"}
    assert found["judged_by"]["only-frames-6-9"] == sha256_of(run / "folds" / "2" / CHOSEN)
    assert record["new"]["sha256"] not in found["judged_by"].values()
    assert sum(kind["masks"] for kind in found["kinds"] if "frames after" in kind["name"]) == 4
    bundle = find_bundle("team")
    assert "that left it out" in (bundle.folder / "gate.html").read_text()
    assert "each left out in turn" in (bundle.folder / "card.md").read_text()
    monkeypatch.setattr("training.team.publish.judge", lambda *found, **more: pytest.fail("judged again"))
    assert publish.publish(run, "other", general=()).version == 1
