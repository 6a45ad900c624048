"""Learning from one clip's own masks: used only where it is better, found again, gone on with."""

from __future__ import annotations

import json
import os
import signal

import cv2
import numpy as np
import pytest
import torch
from stand_ins import let_segment
from team_data import little_weights
from typer.testing import CliRunner

from agss_model import adaptation
from agss_model.cli.main import app
from agss_model.engines.loading import set_threads
from agss_model.errors import ConfigError, MaskError, WeightsError
from agss_model.masks.files import write_label_map
from agss_model.tracking.results import FrameResult
from agss_model.weights.files import read_weights
from training.loop.trainer import Trainer
from training.synthesis.own_frames import filled, pool_of_frames
from training.team import adapt as adapting
from training.team import guesses
from training.team.adapt import AdaptConfig, adapt
from training.team.clip_lessons import read_lessons
from training.team.round_trip import round_trip, share_of

CONFIG = AdaptConfig(steps=4, size=64)


class Clip:
    """Noise, with a bright square that moves right, and its label maps."""

    name, fps = "squares", 25.0

    def __init__(self, frames=6, height=64, width=96):
        self.size, self.count = (width, height), frames

    def __len__(self):
        return self.count

    def truth(self, number, object_id=1):
        label_map = np.zeros(self.size[::-1], np.uint16)
        label_map[20:44, 10 + 4 * number : 34 + 4 * number] = object_id
        return label_map

    def read(self, number):
        picture = np.random.default_rng(0).integers(0, 60, (*self.size[::-1], 3)).astype(np.uint8)
        picture[self.truth(number) > 0] += 150
        return picture

    def frames(self, start, stop, step):
        return map(self.read, range(start, -1 if stop is None else stop, step))


class Silent:
    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)

    def progress(self, what, total, done=0, unit="frames"):
        assert unit == "steps"
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def advance(self):
        pass


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    set_threads(1)  # of OpenCV too, whose flow is not the same on several
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    little_weights(path)
    return str(path)


@pytest.fixture
def improving(monkeypatch):
    """What is held out gets better each time it is looked at."""
    scores = iter(np.linspace(0.5, 0.9, 100).tolist())
    monkeypatch.setattr(adapting, "mean_iou", lambda loss, clips: next(scores))
    monkeypatch.setattr(adapting, "_trips", lambda *arguments: (0.5, 0.7, 0.9))


def learn(start, folder, numbers=(0,), config=CONFIG, clip=None):
    clip = clip or Clip()
    return adapt(start, clip, {number: clip.truth(number) for number in numbers}, folder, Silent(), config)


def tensors(path):
    return read_weights(path)[0]


def test_the_same_clip_and_seed_give_the_same_weights_which_are_found_again(start, tmp_path, improving, monkeypatch):
    one, two = learn(start, tmp_path / "one"), learn(start, tmp_path / "two")
    assert one.learned
    assert one.steps == 4
    first, second = tensors(one.weights), tensors(two.weights)
    assert all(torch.equal(first[name], second[name]) for name in first)
    changed = [name for name, value in tensors(start).items() if not torch.equal(value.half(), first[name].half())]
    assert changed
    assert not any(name.startswith(("encoder.stem", "encoder.blocks.0.")) for name in changed)
    monkeypatch.setattr(Trainer, "train_step", None)  # nothing is learned twice
    assert learn(start, tmp_path / "one") == one
    assert sorted(path.suffix for path in (tmp_path / "one").iterdir()) == [".json", ".safetensors"]


def test_what_is_not_better_is_not_used(start, tmp_path, monkeypatch):
    scores = iter([0.8, 0.7, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2])
    monkeypatch.setattr(adapting, "mean_iou", lambda loss, clips: next(scores))
    adapted = learn(start, tmp_path)
    assert (adapted.weights, adapted.learned, adapted.steps) == (start, False, 0)
    assert "nothing better" in adapted.sentence()
    assert not list(tmp_path.glob("*.safetensors"))
    assert learn(start, tmp_path) == adapted


def test_what_does_not_hold_on_the_clip_itself_is_not_used(start, tmp_path, improving, monkeypatch):
    monkeypatch.setattr(adapting, "_trips", lambda *arguments: (0.8, 0.78, 0.79))
    adapted = learn(start, tmp_path / "one")
    assert (adapted.weights, adapted.learned, adapted.there_and_back) == (start, False, (0.8, 0.78, 0.79))
    assert "0.790" in adapted.sentence()
    assert learn(start, tmp_path / "one") == adapted
    assert not learn(start, tmp_path / "three", numbers=(0, 5)).learned


def test_half_of_the_change_is_used_where_all_of_it_is_not_clearly_better(start, tmp_path, improving, monkeypatch):
    whole = learn(start, tmp_path / "whole")
    monkeypatch.setattr(adapting, "_trips", lambda *arguments: (0.8, 0.8, 0.84))
    half = learn(start, tmp_path / "half")
    assert (whole.share, half.share) == (1, 0.5)
    assert learn(start, tmp_path / "sure", numbers=(0, 5)).share == 1  # a human frame speaks for it, too
    assert "half" in half.sentence()
    first, middle, last = tensors(start), tensors(half.weights), tensors(whole.weights)
    for name, tensor in middle.items():
        expected = (first[name].float() + last[name].float()) / 2
        torch.testing.assert_close(tensor.float(), expected, atol=2e-3, rtol=2e-3)  # written as float16
    assert any(not torch.equal(middle[name], last[name]) for name in middle)


@pytest.mark.parametrize(
    ("trips", "sure", "share"),
    [
        ((0.6, 0.5, 0.77), False, 1.0),
        ((0.6, 0.5, 0.69), False, 0.5),
        ((0.6, 0.5, 0.59), False, 0.0),
        ((0.6, 0.6, 0.69), False, 0.5),
        ((0.6, 0.6, 0.6), True, 1.0),
        ((0.6, 0.7, 0.59), True, 0.5),
    ],
)
def test_the_share_that_is_used_follows_the_error_that_is_left(trips, sure, share):
    assert share_of(trips, sure=sure) == share


def test_only_masks_that_are_sure_are_learned_from(lite, monkeypatch):
    clip = Clip(frames=9)
    maps = {2: clip.truth(2) + clip.truth(18, 2)}
    results = [
        FrameResult(number, (1, 2), clip.truth(number) + clip.truth(18, 2), {1: 0.9, 2: 0.5 + 0.1 * number})
        for number in range(9)
    ]
    asked = []

    def propagate(source, keyframes, network, *, start, stop):
        asked.append((list(keyframes), start, stop))
        return iter(results[start:stop])

    monkeypatch.setattr(guesses, "propagate", propagate)
    (video,) = guesses.guess(clip, maps, lite, 48)
    assert asked == [([2], 0, 9)]
    assert video.numbers == video.annotated == (0, 2, 4, 6, 8)
    assert [video.truth(number)[1] for number in video.numbers] == [{1}, None, {1, 2}, {1, 2}, {1, 2}]
    assert video.picture(4).shape == (32, 48, 3)
    monkeypatch.setattr(guesses, "SURE", 2.0)
    assert guesses.guess(clip, maps, lite, 48) == []


def test_the_surroundings_of_all_human_frames_are_bounded_together(lite, monkeypatch):
    clip, asked = Clip(frames=5000), []

    def propagate(source, keyframes, network, *, start, stop):
        asked.append(stop - start)
        return iter(())

    monkeypatch.setattr(guesses, "propagate", propagate)
    monkeypatch.setattr(clip, "read", lambda number: np.zeros((64, 96, 3), np.uint8))
    guesses.guess(clip, dict.fromkeys(range(0, 4800, 300), clip.truth(0)), lite, 48)
    assert len(asked) == 16
    assert sum(asked) <= guesses.TRACKED + 16


@pytest.mark.parametrize("start_frame", [0, 5, 3])
def test_there_and_back_again_finds_the_mask_unless_all_is_lost(start_frame, lite, monkeypatch):
    clip = Clip(frames=6)
    maps = {start_frame: clip.truth(start_frame)}
    numbers = []

    def still(features, asked):
        return asked.warped

    def frames(start, stop, step):
        for number in range(start, -1 if stop is None else stop, step):
            numbers.append(number)
            yield clip.read(number)

    clip.frames = frames
    let_segment(monkeypatch, lite, still)
    assert round_trip(clip, maps, lite) > 0.7
    there = list(range(start_frame, 6)) if start_frame < 3 else list(range(start_frame, -1, -1))
    assert numbers == [*there, *there[::-1]]
    let_segment(monkeypatch, lite, lambda features, asked: asked.warped * 0)
    assert round_trip(clip, maps, lite) == 0


def test_with_several_human_frames_one_is_held_out_and_then_all_are_learned(start, tmp_path, improving, monkeypatch):
    seen = []
    real = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda self, clips: seen.append(self.step) or real(self, clips))
    adapted = learn(start, tmp_path, numbers=(0, 1, 5))
    assert adapted.held_out == "frame 5, tracked from frame 1"
    assert seen == [*range(4), *range(4)]
    lessons = read_lessons(Clip(), {n: Clip().truth(n) for n in (0, 1, 5)})
    rest, exam, _ = lessons.held_out()
    assert sorted(rest.label_maps) == [0, 1]
    clip = exam.sample(adapting._settings(start, lessons, 64, CONFIG).validation.shape, 3)
    assert clip.known[0, 0].all()
    assert clip.known[0, -1].all()


def test_learning_goes_on_after_a_kill_as_if_nothing_had_been(start, tmp_path, improving, monkeypatch):
    whole = learn(start, tmp_path / "whole")
    real, count = Trainer.train_step, iter(range(100))

    def dying(self, clips):
        if next(count) == 3:
            raise SystemExit("killed")
        return real(self, clips)

    monkeypatch.setattr(adapting, "SAVE_SECONDS", 0)
    monkeypatch.setattr(Trainer, "train_step", dying)
    with pytest.raises(SystemExit):
        learn(start, tmp_path / "cut")
    monkeypatch.setattr(Trainer, "train_step", real)
    again = learn(start, tmp_path / "cut")
    one, two = tensors(whole.weights), tensors(again.weights)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_an_interrupt_uses_what_has_been_learned(start, tmp_path, improving, monkeypatch):
    real = Trainer.train_step

    def interrupted(self, clips):
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, clips)

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    adapted = learn(start, tmp_path, numbers=(0, 5))
    assert adapted.learned
    assert adapted.steps == 3


def test_steps_fit_into_the_minutes(start, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "mean_iou", lambda loss, clips: 0.5)
    monkeypatch.setattr(adapting, "seconds_per_step", lambda trainer: 4.0)
    monkeypatch.setattr(adapting.time, "monotonic", lambda: 0.0)
    report, clip = Silent(), Clip()
    adapt(start, clip, {0: clip.truth(0)}, tmp_path, report, AdaptConfig(minutes=2.4, size=64))
    assert "28 steps" in report.notes[0]  # (144 s - 2 looks at 4 clips of 4 s) / 4 s


def test_what_cannot_be_learned_from_is_said(start, tmp_path):
    clip = Clip()
    with pytest.raises(MaskError, match="large enough"):
        adapt(start, clip, {0: np.zeros(clip.size[::-1], np.uint16) + 0}, tmp_path, Silent(), CONFIG)
    speck = np.zeros(clip.size[::-1], np.uint16)
    speck[3, 3] = 1
    with pytest.raises(MaskError, match="large enough"):
        adapt(start, clip, {0: speck}, tmp_path, Silent(), CONFIG)
    with pytest.raises(WeightsError, match="propagation needs no training"):
        adapt("propagation", clip, {0: clip.truth(0)}, tmp_path, Silent(), CONFIG)
    with pytest.raises(ConfigError, match="minutes"):
        AdaptConfig(minutes=0)


def test_many_objects_two_frames_and_a_narrow_clip(start, tmp_path, improving):
    clip = Clip(frames=2, height=32, width=320)
    many = np.repeat(np.arange(320, dtype=np.uint16)[None].clip(0, 255), 32, 0)
    pool = pool_of_frames([clip.read(0)], [many], 320)
    assert len(pool.instances) == 254
    adapted = adapt(start, clip, {0: many}, tmp_path, Silent(), AdaptConfig(steps=1, size=64))
    assert adapted.steps == 1


def test_the_scene_without_its_objects_has_none_of_their_pixels():
    clip = Clip()
    empty = filled(clip.read(0), clip.truth(0) > 0)
    assert empty[clip.truth(0) > 0].max() < 120
    far = np.ones(clip.size[::-1], bool)
    far[10:54, :50] = False
    assert np.array_equal(empty[far], clip.read(0)[far])


def test_the_command_learns_tracks_and_says_so(start, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "AdaptConfig", lambda minutes: CONFIG)
    clip = Clip()
    for number in range(clip.count):
        (tmp_path / "frames").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), clip.read(number))
    write_label_map(tmp_path / "0.png", clip.truth(0))
    words = ["track", str(tmp_path / "frames"), "--masks", str(tmp_path / "0.png"), "--out", str(tmp_path / "out")]
    words += ["--weights", start, "--adapt", "0.05", "--overlay", "none", "--engine", "torch", "--threads", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "the clip's own masks" in result.output
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    learned = json.loads(next((tmp_path / "out.adapted").glob("*.json")).read_text())
    assert record["asked"]["weights"]["name"] == learned.get("weights", record["asked"]["weights"]["name"])
    refused = CliRunner().invoke(app, [*words[:-10], "--adapt", "-1"])
    assert refused.exit_code == 2
    assert "above 0" in refused.output


def test_without_the_training_extra_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    class Point:
        def load(self):
            raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")

    for points, named in (([Point()], "accelerate"), ([], "the training parts")):
        monkeypatch.setattr(adaptation, "entry_points", lambda group, points=points: points)
        with pytest.raises(ConfigError, match=rf"needs {named}: pip install") as caught:
            adaptation.adapted_weights("lite", Clip(), {}, tmp_path, Silent(), 1.0)
        assert "[train]" in str(caught.value)
