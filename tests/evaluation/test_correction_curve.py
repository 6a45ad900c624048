from __future__ import annotations

import numpy as np
import pytest

from agss_model.evaluation import open_dataset
from agss_model.evaluation.corrections import curve
from agss_model.masks.files import write_label_map
from agss_model.tracking.results import FrameResult

FRAMES = 12


@pytest.fixture
def sequence(tmp_path):
    """A square that stands still, with truth on every frame."""
    truth = np.zeros((20, 30), np.uint8)
    truth[5:15, 5:15] = 1
    for folder in ("JPEGImages/clip", "Annotations/clip"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(FRAMES):
        (tmp_path / f"JPEGImages/clip/{number:05d}.jpg").touch()
        write_label_map(tmp_path / f"Annotations/clip/{number:05d}.png", truth)
    return open_dataset(tmp_path)[0]


def forgetful(honest):
    """Tracks with masks that lose one column for each frame since a person drew; an honest one says so."""

    def track(given):
        last = 0
        for number in range(FRAMES):
            if number in given:
                last, label_map = number, given[number]()
            else:
                label_map = given[last]().copy()
                label_map[:, 15 - min(10, number - last) : 15] = 0
            score = 1 - 0.1 * (number - last) if honest else 0.9
            human = frozenset({1}) if number in given else frozenset()
            yield FrameResult(number, (1,), label_map, {1: score}, human=human)

    return track


@pytest.mark.parametrize("strategy", ["list", "worst", "evenly"])
def test_quality_rises_with_every_correction(sequence, strategy):
    values = curve(sequence, forgetful(honest=True), strategy, 3)
    assert len(values) == 4
    assert values == sorted(values)
    assert values[0] == pytest.approx(np.mean([1 - 0.1 * k for k in range(1, 11)]))


def test_an_honest_list_gains_nearly_what_knowing_the_truth_gains(sequence):
    track = forgetful(honest=True)
    gains = [values[-1] - values[0] for values in (curve(sequence, track, s, 3) for s in ("list", "worst"))]
    assert gains[0] > 0.8 * gains[1]


def test_where_the_list_names_nothing_the_scores_go_on_choosing(sequence):
    values = curve(sequence, forgetful(honest=False), "list", 3)
    assert len(values) == 4
    assert values == sorted(values)
