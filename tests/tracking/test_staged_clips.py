"""Crossings, covers and cuts staged with real clips: what goes wrong is lost, or in a frame that the list names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from agss_model.clips import propagate
from agss_model.engines.loading import Engine, load_engine
from agss_model.evaluation import open_dataset, region_similarity
from agss_model.review import look_first
from agss_model.runs.scores import Row, rows_of
from agss_model.tracking.quality import BACK, CUT

FRAMES = 24
WIDTH = 640


@dataclass
class Staged:
    """Frames in memory with a label map each; a source of frames."""

    pictures: list[np.ndarray]
    truth: list[np.ndarray]
    name: str = "staged"
    fps: float = 25.0

    @property
    def size(self) -> tuple[int, int]:
        return self.pictures[0].shape[1], self.pictures[0].shape[0]

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, number: int) -> np.ndarray:
        return self.pictures[number]

    def frames(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[np.ndarray]:
        return map(self.read, range(start, len(self) if stop is None else stop, step))


def real(shared_data: Path, name: str, skip: int = 1) -> Staged:
    """The clip of one object, as 1."""
    folder = "video_dev" if "_" in name else "davis2016_dev"
    sequence = open_dataset(shared_data / folder, names=[name])[0]
    places = range(0, min(len(sequence.frames), FRAMES * skip), skip)
    pictures, truth = [], []
    for place in places:
        picture = cv2.cvtColor(cv2.imread(str(sequence.frames[place])), cv2.COLOR_BGR2RGB)
        size = (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1]))
        pictures.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        labels = (sequence.truth_and_void(place)[0] > 0).astype(np.uint8)
        truth.append(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))
    return Staged(pictures, truth)


def crossing(clip: Staged) -> Staged:
    """A mirrored second one (2) passes in front of it, from one side of the picture to the other."""
    pictures, truth = [], []
    for number, (picture, labels) in enumerate(zip(clip.pictures, clip.truth, strict=True)):
        ys, xs = np.nonzero(labels)
        top, left, bottom, right = ys.min(), xs.min(), ys.max() + 1, xs.max() + 1
        twin, shape = picture[top:bottom, left:right][:, ::-1], labels[top:bottom, left:right][:, ::-1] > 0
        width, middle = right - left, (left + right) / 2
        way = 1.3 * width * (1 - 2 * number / (len(clip) - 1))  # from right of it to left of it
        at = int(np.clip(middle + way - width / 2, -width * 0.8, WIDTH - width * 0.2))
        there = slice(max(0, at), min(WIDTH, at + width))
        part = slice(there.start - at, there.stop - at)
        picture, labels = picture.copy(), labels.copy()
        picture[top:bottom, there][shape[:, part]] = twin[:, part][shape[:, part]]
        labels[top:bottom, there][shape[:, part]] = 2
        pictures.append(picture)
        truth.append(labels)
    return Staged(pictures, truth)


def covered(clip: Staged) -> Staged:
    """A wide board passes in front of everything in the middle third; the clip runs on behind it."""
    pictures, truth = [], []
    for number, (picture, labels) in enumerate(zip(clip.pictures, clip.truth, strict=True)):
        xs = np.nonzero(labels)[1]
        width = int(1.6 * (xs.max() + 1 - xs.min()))
        way = 2.0 * width * (1 - 2 * number / (len(clip) - 1))
        at = int((xs.min() + xs.max()) / 2 + way - width / 2)
        there = slice(max(0, at), max(0, min(WIDTH, at + width)))
        picture, labels = picture.copy(), labels.copy()
        grain = np.random.default_rng(0).integers(-12, 12, (*picture.shape[:2], 1))
        picture[:, there] = (np.array([120, 90, 60]) + grain[:, there]).clip(0, 255).astype(np.uint8)
        labels[:, there] = 0
        pictures.append(picture)
        truth.append(labels)
    return Staged(pictures, truth)


def cut(clip: Staged, other: Staged) -> Staged:
    """In the middle another scene begins, in which the object is not, but another one is."""
    half, size = FRAMES // 2, clip.size
    pictures = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in other.pictures[:half]]
    nothing = [np.zeros_like(clip.truth[0])] * half
    return Staged(clip.pictures[:half] + pictures, clip.truth[:half] + nothing)


@pytest.fixture(scope="module")
def shipped() -> Engine:
    return load_engine("lite", None, "cpu", None, engine="auto")


def silent(staged: Staged, engine: Engine) -> tuple[list[tuple[int, int]], list[Row], int]:
    """Masks below IoU 0.5 that are not lost, in frames that the list sends nobody to; the rows; how many were bad."""
    first = {0: staged.truth[0]}
    results = list(propagate(staged, first, engine.network, direction="forward", flow=engine.flow))
    rows = [row for result in results for row in rows_of(result)]
    listed = look_first(rows, None)
    quiet, bad = [], 0
    for result in results[1:]:
        truth = staged.truth[result.frame_index]
        for i in result.object_ids:
            if region_similarity(result.label_map == i, truth == i) >= 0.5:
                continue
            bad += 1
            if i not in result.lost and not any(s.first <= result.frame_index <= s.last for s in listed):
                quiet.append((result.frame_index, i))
    return quiet, rows, bad


CLIPS = ("dog", "camel", "car-shadow", "libby", "davis_bear")


@pytest.mark.parametrize(("stage", "most"), [(crossing, 0.2), (covered, 0.0)])
def test_what_goes_wrong_where_objects_meet_or_are_hidden_is_hardly_ever_silent(shipped, shared_data, stage, most):
    """21 of 115 masks stay silent in crossings, of cars above all; the list names where they meet."""
    quiet, wrong = [], 0
    for name in CLIPS:
        found, _, bad = silent(stage(real(shared_data, name)), shipped)
        quiet += found
        wrong += bad
    assert len(quiet) <= most * wrong


def test_in_another_scene_the_object_is_lost_or_doubted_and_the_cut_is_named(shipped, shared_data):
    quiet, wrong = [], 0
    for name in CLIPS:
        found, rows, bad = silent(cut(real(shared_data, name), real(shared_data, "dance-twirl")), shipped)
        assert [row.frame for row in rows if CUT in row.reasons][:1] == [FRAMES // 2]
        quiet += found
        wrong += bad
    assert len(quiet) <= 0.15 * wrong


def test_who_was_hidden_is_found_again(shipped, shared_data):
    for name in CLIPS:
        staged = covered(real(shared_data, name))
        rows = silent(staged, shipped)[1]
        assert [row.frame for row in rows if BACK in row.reasons], name
        assert rows[-1].score > 0.5, name
