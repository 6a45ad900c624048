"""Lessons show what their names say, and the truth goes with the picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from little_data import make_stills, make_videos

from agss_model.evaluation import open_dataset
from training.data.clips import Clips, ClipShape
from training.scores import lessons as module
from training.scores.lessons import lessons, of_clips, with_cut
from training.scores.record import Lesson, of_sequence


@pytest.fixture
def clips():
    """Four frames, as bright as their number; object 1 always there, 2 from frame 2 on, 3 there but not tracked."""
    masks = torch.zeros(1, 4, 3, 8, 8)
    masks[:, :, 0, :2] = 1
    masks[:, 2:, 1, 4:6] = 1
    masks[:, :, 2, 7] = 1
    frames = torch.arange(4.0)[None, :, None, None, None].expand(1, 4, 3, 8, 8) / 10
    return Clips(frames, masks, torch.tensor([[0, 2, 4]]))


def ids(label_map):
    return sorted(set(np.unique(label_map).tolist()) - {0})


@pytest.mark.parametrize(
    ("backwards", "brightness", "shown", "given"),
    [
        (False, [0, 26, 51, 76], [[1], [1], [1, 2], [1, 2]], {0: [1], 2: [2]}),
        (True, [76, 51, 26, 0], [[1, 2], [1, 2], [1], [1]], {0: [1, 2]}),
    ],
)
def test_an_object_is_given_where_it_first_appears_either_way(clips, backwards, brightness, shown, given):
    lesson = of_clips("made", clips, backwards=backwards)
    assert lesson.name == ("made+backwards" if backwards else "made")
    assert [lesson.picture(index)[0, 0, 0] for index in range(lesson.frames)] == brightness
    assert [ids(lesson.truth(index)[0]) for index in range(lesson.frames)] == shown
    assert {index: ids(label_map) for index, label_map in lesson.given.items()} == given
    for index, label_map in lesson.given.items():
        assert (label_map == np.where(np.isin(lesson.truth(index)[0], given[index]), lesson.truth(index)[0], 0)).all()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_sequence_is_run_either_way_with_its_own_truth(tmp_path, backwards):
    """Squares move by 3 pixels a frame; only every second frame has masks."""
    make_videos(tmp_path, ["a"], frames=5, every=2)
    lesson = of_sequence(open_dataset(tmp_path)[0], backwards=backwards)
    assert lesson.frames == 5
    assert [lesson.truth(index) is not None for index in range(5)] == [True, False, True, False, True]
    lefts = [int(np.flatnonzero((lesson.truth(index)[0] > 0).any(0))[0]) for index in (0, 2, 4)]
    assert lefts == ([16, 10, 4] if backwards else [4, 10, 16])
    greens = [int(lesson.picture(index)[0, 70, 1]) for index in range(5)]  # 30 and the frame's number, through JPEG
    assert (greens[0] > greens[4]) == backwards
    assert {index: ids(label_map) for index, label_map in lesson.given.items()} == {0: [1, 2]}


def flat(name, frames, brightness, size):
    """A lesson whose pictures are `brightness` and the frame's number, and whose truth is object 1 at that column."""

    def truth(index):
        label_map = np.zeros(size, np.uint8)
        label_map[:, index % size[1]] = 1
        return label_map, np.zeros(size, np.bool_)

    given = {index: truth(index)[0] for index in (0, frames - 1)}
    return Lesson(name, frames, lambda index: np.full((*size, 3), brightness + index, np.uint8), truth, given)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (9, [0, 1, 2, 100, 101, 102, 3, 4, 5, 6]),
        (2, [0, 1, 2, 100, 101, 3, 4, 5, 6]),
    ],
)
def test_a_cut_shows_another_clip_and_comes_back(others, expected):
    lesson = with_cut(flat("one", 7, 0, (8, 12)), flat("other", others, 100, (16, 20)))
    assert lesson.name == "one+cut"
    assert [int(lesson.picture(index)[0, 0, 0]) for index in range(lesson.frames)] == expected
    assert {lesson.picture(index).shape for index in range(lesson.frames)} == {(8, 12, 3)}
    for index, number in enumerate(expected):
        label_map = lesson.truth(index)[0]
        assert (label_map.any() and label_map[:, number].all()) if number < 100 else not label_map.any()
    assert list(lesson.given) == [0]


@pytest.mark.parametrize("count", range(1, 13))
def test_what_a_cut_shows_is_never_the_clip_itself(count, monkeypatch):
    """Its objects would be there, and the truth says that they are not."""
    sequences = [SimpleNamespace(name=f"clip{number}") for number in range(count)]
    monkeypatch.setattr(module, "open_videos", lambda *_: (sequences, 0))
    found = list(lessons(None, None, 0))
    pairs = [source.open.args for source in found if source.name.endswith("+cut")]
    assert [here for here, _ in pairs] == (sequences if count > 1 else [])
    assert all(here is not other for here, other in pairs)


def test_every_kind_comes_in_turn_under_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHAPE", ClipShape(batch=1, frames=6, height=64, width=96))
    monkeypatch.setattr(module, "OVERLAID_FRAMES", 5)
    make_videos(tmp_path / "videos", ["a", "b"], frames=5)
    make_stills(tmp_path / "stills", objects=2)
    found = {source.name: source for source in lessons(tmp_path / "videos", tmp_path / "stills", 1)}
    kinds = ["made-0", "crowd-0", "overlaid-0"]
    made = [f"{kind}{way}" for kind in kinds for way in ("", "+backwards")]
    assert list(found) == [*made, "a", "a+backwards", "a+cut", "b", "b+backwards", "b+cut"]
    assert [found[name].open().name for name in found] == list(found)
    for kind in kinds:
        there, back = (found[f"{kind}{way}"].open() for way in ("", "+backwards"))
        assert there.frames == back.frames
        assert (there.picture(0) == back.picture(back.frames - 1)).all()
        assert there.given
        assert all(label_map.any() for label_map in there.given.values())
