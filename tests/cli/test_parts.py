"""The parts of the commands that need no network."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_rows import lists_of_rows

from agss_model.errors import MaskError, OutputError
from agss_model.ranges import make_route
from agss_model.runs.recorder import Recorder
from agss_model.runs.scores import read_rows, rows_of, write_rows
from agss_model.runs.traces import Traces
from agss_model.tracking.results import FrameResult

ROWS = lists_of_rows("lost", "uncertain", "changed size", "disagrees with motion")


@given(
    count=st.integers(1, 30),
    data=st.data(),
    direction=st.sampled_from(["forward", "backward", "both"]),
)
def test_a_route_covers_what_can_be_reached_and_begins_at_a_mask(count, data, direction):
    frame = st.integers(0, count - 1)
    keyframes = sorted(data.draw(st.sets(frame, min_size=1, max_size=3)))
    first, last = sorted((data.draw(frame), data.draw(frame)))
    low, high = keyframes[0], keyframes[-1]
    reachable = {
        "forward": range(max(first, low), last + 1),
        "backward": range(first, min(last, high) + 1),
        "both": range(first, last + 1),
    }[direction]
    drawn = {number: frozenset({1}) for number in keyframes}
    if not reachable:
        with pytest.raises(MaskError):
            make_route(drawn, count, direction, first, last)
        return
    route = make_route(drawn, count, direction, first, last)
    assert route.frames == reachable
    assert [number for part in route.parts for number in part.frames] == list(reachable)
    for part in route.parts:
        if part.order is not None:
            assert part.order[0] in keyframes
            assert set(part.frames) <= set(part.order)
            assert all(0 <= number < count for number in part.order)


@given(rows=ROWS)
def test_scores_come_back_from_their_table_even_with_a_torn_end(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_rows(path, rows)
    with path.open("a") as file:
        file.write("17,1,0.5")
    assert list(read_rows(path)) == rows


def test_rows_count_the_pixels_of_each_object():
    label_map = np.array([[0, 7, 7], [300, 0, 7]], np.uint16)
    result = FrameResult(4, (5, 7, 300), label_map, {5: 0.0, 7: 0.5, 300: 1.0}, frozenset({5}), {5: ("lost",)})
    assert [(row.object_id, row.area, row.lost) for row in rows_of(result)] == [
        (5, 0, True), (7, 3, False), (300, 1, False),
    ]  # fmt: skip


def result_of(number):
    return FrameResult(number, (1,), np.ones((2, 2), np.uint8), {1: 1.0})


def test_a_recorder_that_cannot_write_says_so_instead_of_waiting(tmp_path):
    places = Traces(tmp_path)  # without the folders of a run
    recorder = Recorder(places, depth=1)

    def feed():
        for number in range(20):
            recorder.put(result_of(number))

    with pytest.raises(OutputError, match="cannot write"):
        feed()
    with pytest.raises(OutputError):
        recorder.close()
    assert "recorder" not in {thread.name for thread in threading.enumerate()}


def test_a_recorder_has_written_everything_after_a_flush(tmp_path):
    places = Traces(tmp_path)
    places.masks.mkdir()
    places.progress.mkdir()
    with Recorder(places) as recorder:
        for number in range(5):
            recorder.put(result_of(number))
        recorder.flush()
        assert [row.frame for row in read_rows(places.log)] == list(range(5))
        assert all(places.mask(number).exists() for number in range(5))


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "agss_model", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("agss ")
