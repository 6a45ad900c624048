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


@given(recordings(), st.integers(0, 5))
def test_no_footage_is_on_both_sides(videos, seed):
    try:
        split = split_videos(videos, seed=seed)
    except ConfigError:
        return
    if not any("by time" in note for note in split.notes):
        seen = {part: {p for v in videos if v.name in getattr(split, part) for p in v.prints} for part in PARTS}
        assert not seen["train"] & (seen["validation"] | seen["held_out"])
    frames = {(name, frame) for name, frames in split.train.items() for frame in frames}
    for part in ("validation", "held_out"):
        assert not frames & {(name, frame) for name, all_of_it in getattr(split, part).items() for frame in all_of_it}


PARTS = ("train", "validation", "held_out")


def videos(count, annotated=4):
    return [Facts(f"v{n}", tuple(range(annotated)), frozenset({f"p{n}"})) for n in range(count)]


def test_the_order_of_the_videos_does_not_matter():
    assert split_videos(videos(7)) == split_videos(videos(7)[::-1])


def test_with_many_videos_those_that_stop_the_run_are_not_those_of_the_gate():
    split = split_videos(videos(8))
    assert len(split.held_out) == 2
    assert not set(split.validation) & set(split.held_out)
    assert split.notes == ()


def test_with_few_videos_it_is_said_that_they_serve_twice():
    split = split_videos(videos(3))
    assert split.validation == split.held_out
    assert len(split.train) == 2
    assert "also decide when to stop" in split.notes[0]


def test_one_video_is_split_by_time_and_that_is_said():
    split = split_videos([Facts("only", (0, 10, 20, 30, 40), frozenset("a"))])
    assert split.train == {"only": (0, 10, 20)}
    assert split.held_out == {"only": (30, 40)}
    assert "split by time" in split.notes[0]


def test_what_is_asked_for_is_held_out():
    assert set(split_videos(videos(4), hold_out=["v2"]).held_out) == {"v2"}
    with pytest.raises(ConfigError, match="no video 'v9'"):
        split_videos(videos(4), hold_out=["v9"])
    with pytest.raises(ConfigError, match="needed to learn from"):
        split_videos(videos(2), hold_out=["v0", "v1"])


def test_too_little_truth_is_refused():
    with pytest.raises(ConfigError, match="has 3 annotated frames; at least 4"):
        split_videos(videos(1, annotated=3))
    with pytest.raises(ConfigError, match="2 annotated frames"):
        split_videos(videos(3, annotated=1))
