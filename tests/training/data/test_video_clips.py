from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little_data import make_stills, make_videos

from agss_model.errors import ConfigError, MediaError
from training.data import evaluation_data
from training.data.clips import ClipShape
from training.data.evaluation_data import refuse_evaluation_data
from training.data.video_clips import VideoClips, open_videos, sub_sequence
from training.data.video_config import VideoConfig
from training.loop.settings import from_dict
from training.loop.sources import Mixture, open_sources

SHAPE = ClipShape(batch=2, frames=4, height=32, width=64)


@given(
    annotated=st.lists(st.integers(0, 500), min_size=2, max_size=60, unique=True).map(sorted),
    frames=st.integers(2, 8),
    skip=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_sub_sequences_have_fixed_length_one_distance_and_either_direction(annotated, frames, skip, seed):
    rng = np.random.default_rng(seed)
    if len(annotated) < frames:
        with pytest.raises(MediaError, match="fewer"):
            sub_sequence(annotated, frames, VideoConfig(max_skip=skip), rng)
        return
    chosen = sub_sequence(annotated, frames, VideoConfig(max_skip=skip), rng)
    places = np.array([annotated.index(frame) for frame in chosen])
    steps = set(np.diff(places).tolist())
    assert len(chosen) == frames
    assert len(steps) == 1
    assert 1 <= abs(steps.pop()) <= skip


def test_every_start_distance_and_direction_is_drawn():
    rng = np.random.default_rng(0)
    drawn = {tuple(sub_sequence(range(6), 3, VideoConfig(max_skip=2), rng)) for _ in range(300)}
    forward = {(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 2, 4), (1, 3, 5)}
    assert drawn == forward | {clip[::-1] for clip in forward}


@pytest.mark.parametrize("layout", ["davis", "youtube-vos"])
def test_clips_of_both_layouts_show_their_objects(tmp_path, layout):
    root = make_videos(tmp_path / "set", ["one", "two"], frames=16, every=1 if layout == "davis" else 2)
    sequences, kept = open_videos(root, layout)
    clips = VideoClips(sequences, VideoConfig()).sample(SHAPE, 3)
    assert kept == 0
    assert clips.frames.shape == (2, 4, 3, 32, 64)
    assert clips.masks.shape == (2, 4, 2, 32, 64)
    assert clips.masks.sum(2).max() == 1
    assert (clips.entry == 0).all()
    red = clips.frames[:, :, 0]
    covered = clips.masks.sum(2) > 0
    assert red[covered].mean() > 0.3 > 0.1 > red[~covered].mean()


def test_the_same_seed_gives_the_same_clips(tmp_path):
    clips = VideoClips(open_videos(make_videos(tmp_path / "set", ["a", "b"]), "davis")[0], VideoConfig())
    assert torch.equal(clips.sample(SHAPE, 5).frames, clips.sample(SHAPE, 5).frames)
    assert not torch.equal(clips.sample(SHAPE, 5).frames, clips.sample(SHAPE, 6).frames)


def test_flipping_and_reversing_are_as_often_as_told(tmp_path):
    sequences = open_videos(make_videos(tmp_path / "set", ["a"]), "davis")[0]

    def direction(**settings):
        clips = VideoClips(sequences, VideoConfig(**settings)).sample(SHAPE, 1)
        middle = (clips.masks[0, :, 0] * torch.arange(64.0)).sum((1, 2)) / clips.masks[0, :, 0].sum((1, 2))
        return float(middle[-1] - middle[0])

    assert direction(flip=0, reverse=0) > 0
    assert direction(flip=1, reverse=0) < 0
    assert direction(flip=0, reverse=1) < 0
    assert direction(flip=1, reverse=1) > 0


def test_the_reference_is_the_first_frame_or_any(tmp_path):
    sequences = open_videos(make_videos(tmp_path / "set", ["a"]), "davis")[0]
    shape = ClipShape(batch=12, frames=4, height=32, width=64)
    assert VideoClips(sequences, VideoConfig()).sample(shape, 0).reference is None
    drawn = VideoClips(sequences, VideoConfig(reference="random")).sample(shape, 0).reference
    assert len(set(drawn.tolist())) > 1
    assert set(drawn.tolist()) <= {0, 1, 2, 3}


def test_crops_keep_the_proportions(tmp_path):
    root = make_videos(tmp_path / "set", ["a"], size=(64, 64))
    clips = VideoClips(open_videos(root, "davis")[0], VideoConfig(fit="crop", flip=0)).sample(SHAPE, 2)
    box = clips.masks[0, 0].sum(0) > 0
    assert clips.frames.shape[-2:] == (32, 64)
    assert box.any()


def test_a_later_object_enters_later(tmp_path):
    root = make_videos(tmp_path / "set", ["a"], frames=4)
    first = root / "Annotations" / "a" / "00002.png"
    only_one = make_videos(tmp_path / "other", ["a"], frames=4, objects=1)
    for t in range(2):
        (root / "Annotations" / "a" / f"{t:05d}.png").write_bytes(
            (only_one / "Annotations" / "a" / f"{t:05d}.png").read_bytes()
        )
    assert first.exists()
    clips = VideoClips(open_videos(root, "youtube-vos")[0], VideoConfig(reverse=0)).sample(SHAPE, 0)
    assert clips.entry.tolist() == [[0, 2], [0, 2]]


@pytest.fixture
def measured_on(tmp_path, monkeypatch):
    """Says of the sequences of a folder that scores are measured on them."""
    record = tmp_path / "frames.txt"

    def note(*sequences):
        evaluation_data._recorded.cache_clear()
        images = [image for sequence in sequences for image in sequence.iterdir()]
        record.write_text(" ".join(map(evaluation_data.digest, images)))

    monkeypatch.setattr(evaluation_data, "_RECORDED", record)
    yield note
    evaluation_data._recorded.cache_clear()


def test_evaluation_data_is_never_trained_on_whatever_it_is_called(tmp_path, measured_on):
    root = make_videos(tmp_path / "sets" / "mine", ["a"])
    measured_on(root / "JPEGImages" / "a")
    run = from_dict({"sources": [{"kind": "davis"}], "validation_videos": 0}, "test")
    link = tmp_path / "harmless"
    link.symlink_to(root, target_is_directory=True)
    (root / "JPEGImages" / "a" / "00000.jpg").unlink()  # a part of it is told as well
    for folder in (root, link, root / "JPEGImages", root / "JPEGImages" / "a"):
        with pytest.raises(ConfigError, match="scores are measured on"):
            refuse_evaluation_data(folder)
    for folder in (root, link):
        with pytest.raises(ConfigError, match="scores are measured on"):
            open_sources(run, folder)


@pytest.mark.parametrize("name", ["davis2016_dev", "multi_dev", "video_dev"])
def test_a_folder_of_ones_own_may_be_called_anything(tmp_path, name):
    root = make_videos(tmp_path / name, ["camel", "dog"])
    refuse_evaluation_data(root)
    assert open_videos(root, "davis")[1] == 0


@pytest.mark.parametrize("name", ["davis2016_dev", "multi_dev", "video_dev"])
def test_the_shared_evaluation_data_is_refused_under_another_name(shared_data, tmp_path, name):
    (tmp_path / "mine").symlink_to(shared_data / name, target_is_directory=True)
    with pytest.raises(ConfigError, match="scores are measured on"):
        refuse_evaluation_data(tmp_path / "mine")
    sequences = {path.name for path in (shared_data / name / "JPEGImages").iterdir()}
    for sequence in sequences:
        images = sorted((shared_data / name / "JPEGImages" / sequence).iterdir())
        assert evaluation_data.is_evaluation(images[len(images) // 2 :])


def test_sequences_that_scores_are_measured_on_are_left_out_of_a_set(tmp_path, measured_on):
    root = make_videos(tmp_path / "davis", ["bear", "blackswan", "schoolgirls"])
    for number, name in enumerate(["blackswan", "schoolgirls"]):  # pictures of the three are the same otherwise
        for path in (root / "JPEGImages" / name).iterdir():
            path.write_bytes(path.read_bytes() + bytes([number]))
    measured_on(root / "JPEGImages" / "blackswan", root / "JPEGImages" / "schoolgirls")
    sequences, kept = open_videos(root, "davis")
    assert [sequence.name for sequence in sequences] == ["bear"]
    assert kept == 2


@pytest.mark.parametrize("line", ["boat", "/JPEGImages/480p/boat/00000.jpg /Annotations/480p/boat/00000.png"])
def test_the_data_sets_own_list_of_validation_sequences_is_kept_to(tmp_path, line):
    root = make_videos(tmp_path / "davis", ["bear", "boat"])
    (root / "ImageSets" / "2016").mkdir(parents=True)
    (root / "ImageSets" / "2016" / "val.txt").write_text(line + "\n")
    assert [sequence.name for sequence in open_videos(root, "davis")[0]] == ["bear"]


def test_the_data_sets_own_list_of_training_sequences_is_kept_to(tmp_path):
    root = make_videos(tmp_path / "davis", ["bear", "boat"])
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("boat\n")
    assert [sequence.name for sequence in open_videos(root, "davis")[0]] == ["boat"]


def test_an_unreadable_frame_is_skipped_and_counted_until_nothing_is_left(tmp_path):
    root = make_videos(tmp_path / "set", ["good", "bad"], frames=4)
    for image in (root / "JPEGImages" / "bad").iterdir():
        image.write_bytes(b"damaged")
    source = VideoClips(open_videos(root, "davis")[0], VideoConfig())
    for seed in range(4):
        source.sample(SHAPE, seed)
    assert sum(source.skipped.values()) > 0
    for image in (root / "JPEGImages" / "good").iterdir():
        image.write_bytes(b"damaged")
    source = VideoClips(open_videos(root, "davis")[0], VideoConfig())  # nothing is held yet
    with pytest.raises(MediaError, match="in a row"):
        source.sample(SHAPE, 9)


def test_sources_are_mixed_by_weight(tmp_path):
    make_stills(tmp_path / "stills")
    make_videos(tmp_path / "videos", ["a", "b", "c"])
    sources = [{"folder": "stills", "weight": 1}, {"kind": "davis", "folder": "videos", "weight": 3}]
    run = from_dict({"sources": sources, "validation_stills": 1, "validation_videos": 1, "still_size": 64}, "test")
    opened = open_sources(run, tmp_path)
    assert opened.counts == {"blobs": 5, "videos": 2}
    drawn = [opened.training.sample(SHAPE, seed) for seed in range(60)]
    from_videos = sum(clips.masks.shape[2] == 2 and bool((clips.entry == 0).all()) for clips in drawn)
    again = [opened.training.sample(SHAPE, seed) for seed in range(3)]
    assert all(torch.equal(one.frames, two.frames) for one, two in zip(drawn, again, strict=False))

    class Named:
        def __init__(self, name):
            self.name = name

        def sample(self, shape, seed, device="cpu"):
            return self.name

    mixed = Mixture([Named("stills"), Named("videos")], opened.training.weights)
    names = [mixed.sample(SHAPE, seed) for seed in range(400)]
    assert 0.65 < names.count("videos") / 400 < 0.85
    assert from_videos >= names[:60].count("videos")
