from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.errors import ConfigError
from training.annotations.split import Facts, split_videos


@st.composite
def recordings(draw):
    """Videos of which some show the same footage."""
    count = draw(st.integers(2, 12))
    prints = [frozenset({str(draw(st.integers(0, count)))}) for _ in range(count)]
    annotated = [tuple(range(draw(st.integers(1, 6)))) for _ in range(count)]
    return [Facts(f"v{n}", annotated[n], prints[n]) for n in range(count)]


def sides(split):
    """(learned from, measured on) of every training."""
    if split.folds:
        return [(fold.train, fold.left_out) for fold in split.folds]
    return [(split.train, split.validation), (split.train, split.held_out)]


def frames_of(part):
    return {(name, frame) for name, frames in part.items() for frame in frames}


@given(recordings(), st.integers(0, 5), st.booleans())
def test_no_footage_is_on_both_sides(videos, seed, asked):
    try:
        split = split_videos(videos, seed=seed, hold_out=["v1"] if asked else [])
    except ConfigError:
        return
    prints = {video.name: video.prints for video in videos}
    for train, measured in sides(split):
        assert train
        assert measured
        assert not frames_of(train) & frames_of(measured)
        shared = [(a, b) for a in train for b in measured if prints[a] & prints[b]]
        # Only the stretches of one recording may be on two sides, and nothing else that shows the same.
        assert not shared or ("one recording only" in split.notes[-1] and set(shared) == {(n, n) for n in measured})


@given(recordings(), st.integers(0, 5))
def test_what_is_left_out_in_turn_is_learned_from_in_the_end(videos, seed):
    try:
        split = split_videos(videos, seed=seed)
    except ConfigError:
        return
    if split.folds:
        assert dict(split.train) == {video.name: video.annotated for video in videos}
        left_out = [entry for fold in split.folds for entry in frames_of(fold.left_out)]
        assert len(left_out) == len(set(left_out))
        assert 2 <= len(split.folds) <= 4


def videos(count, annotated=4):
    return [Facts(f"v{n}", tuple(range(annotated)), frozenset({f"p{n}"})) for n in range(count)]


def test_the_order_of_the_videos_does_not_matter():
    assert split_videos(videos(7)) == split_videos(videos(7)[::-1])


def test_with_many_videos_those_that_stop_the_run_are_not_those_of_the_gate():
    split = split_videos(videos(8))
    assert len(split.held_out) == 2
    assert not set(split.validation) & set(split.held_out)
    assert split.notes == ()
    assert split.folds == ()


def test_two_videos_are_both_learned_from_and_each_is_left_out_once():
    split = split_videos(videos(2))
    assert set(split.train) == {"v0", "v1"}
    assert not split.validation
    assert not split.held_out
    assert {(*fold.train, *fold.left_out) for fold in split.folds} == {("v0", "v1"), ("v1", "v0")}


def test_more_recordings_are_dealt_into_four():
    split = split_videos(videos(7))
    assert sorted(len(fold.left_out) for fold in split.folds) == [1, 2, 2, 2]
    assert all(len(fold.train) + len(fold.left_out) == 7 for fold in split.folds)


def test_what_nobody_can_be_measured_on_is_only_learned_from():
    """An object that is drawn once, one that the later frame does not tell about, and one that is too small."""
    once = Facts("once", (3,), frozenset("o"))
    apart = Facts("apart", (1, 2), frozenset("a"), told={1: frozenset({1}), 2: frozenset({2})})
    tiny = Facts("tiny", (1, 2), frozenset("t"), shown={1: frozenset(), 2: frozenset()})
    split = split_videos([*videos(2), once, apart, tiny])
    assert set(split.train) == {"v0", "v1", "once", "apart", "tiny"}
    assert [set(fold.left_out) | set(fold.train) for fold in split.folds] == [set(split.train)] * 2
    assert {name for fold in split.folds for name in fold.left_out} == {"v0", "v1"}


def test_of_one_recording_stretches_are_left_out_in_turn_and_that_is_said():
    split = split_videos([Facts("only", (0, 10, 20, 30, 40), frozenset("a")), Facts("same", (0, 1), frozenset("a"))])
    assert split.train == {"only": (0, 10, 20, 30, 40), "same": (0, 1)}
    assert [fold.left_out for fold in split.folds] == [{"only": (0, 10)}, {"only": (20, 30, 40)}]
    assert [fold.train for fold in split.folds] == [{"only": (20, 30, 40)}, {"only": (0, 10)}]
    assert "one recording only" in split.notes[-1]
    assert "same could show" in split.notes[-1]
    longer = split_videos([Facts("only", tuple(range(7)), frozenset("a"))])
    assert [fold.left_out["only"] for fold in longer.folds] == [(0, 1), (2, 3, 4), (5, 6)]
    assert longer.folds[1].train == {"only": (0, 1, 5, 6)}
    drawn_twice = Facts("only", tuple(range(6)), frozenset("a"), shown={t: frozenset() for t in (0, 4)})
    assert len(split_videos([drawn_twice]).folds) == 2  # of three stretches two would show one frame only


def test_what_is_asked_for_is_held_out():
    assert set(split_videos(videos(4), hold_out=["v2"]).held_out) == {"v2"}
    with pytest.raises(ConfigError, match="no video 'v9'"):
        split_videos(videos(4), hold_out=["v9"])
    assert split_videos(videos(4), hold_out=["v2"]).folds == ()
    assert "also decide when to stop" in split_videos(videos(4), hold_out=["v2"]).notes[0]
    for few, kept in ((2, ["v0", "v1"]), (1, ["v0"])):
        with pytest.raises(ConfigError, match="needed to learn from"):
            split_videos(videos(few), hold_out=kept)


def test_too_little_truth_is_refused():
    with pytest.raises(ConfigError, match="has 3 annotated frames; at least 4"):
        split_videos(videos(1, annotated=3))
    with pytest.raises(ConfigError, match="2 annotated frames"):
        split_videos(videos(3, annotated=1))
