from __future__ import annotations

import json

import pytest

from agss_model.cvat.server.client import CvatError
from agss_model.errors import OutputError
from serverless.job.ledger import JobProgress, Ledger, Row, TrackedMask
from serverless.job.objects import Target
from serverless.job.read import Annotations, JobInfo, Label, shown, touches
from serverless.job.writing.making import Keyframe, Maker
from serverless.job.writing.write import JobWriter, check

INFO = JobInfo(3, 1, 20, 39, frozenset(), (64, 48), {1: Label("person")})
TARGET = Target(1, 1, 4, 0, {})
MAKER = Maker(INFO, backward=False)
TRIANGLE = (0, 0, 9, 0, 9, 9)


class Silent:
    """A server that must not be asked."""

    pause = 0.0


@pytest.mark.parametrize("frame", [19, 40, -1])
def test_frames_outside_the_job_are_never_written(tmp_path, frame):
    shape = MAKER.mask(TARGET, frame, [0, 4, 1, 1, 2, 2], 0.5)
    track = MAKER.track(
        TARGET, "polygon", [Keyframe(25, [0, 0, 9, 0, 9, 9]), Keyframe(frame, [0, 0, 9, 0, 9, 9], True)]
    )
    with Ledger(tmp_path) as ledger:
        writer = JobWriter(Silent(), INFO, Annotations((), (), (), ()), ledger)
        with pytest.raises(CvatError, match=f"Frame {frame} is not in job 3, which has 20 to 39"):
            writer.put_shapes([frame], [shape])
        with pytest.raises(CvatError, match=f"Frame {frame}"):
            writer.put_tracks([25], [track])
        with pytest.raises(CvatError, match="not within the frames being written"):
            writer.put_shapes([21], [MAKER.mask(TARGET, 22, [0, 4, 1, 1, 2, 2], 0.5)])


def test_tracks_of_masks_are_never_written():
    track = MAKER.track(TARGET, "polygon", [Keyframe(25, TRIANGLE)])
    track["shapes"][0]["type"] = "mask"
    with pytest.raises(CvatError, match="track of masks"):
        check(track, INFO)


def keyed(*keys):
    return {"shapes": [{"frame": frame, "outside": outside} for frame, outside in keys]}


@pytest.mark.parametrize(
    ("track", "frames"),
    [
        (keyed((3, False), (9, True)), range(3, 9)),
        (keyed((3, False)), range(3, 31)),
        (keyed((3, True)), range(0)),
        (keyed((3, False), (5, True), (8, False), (9, False)), range(3, 31)),
        (keyed((9, True), (3, False)), range(3, 9)),
    ],
)
def test_where_a_track_shows_something(track, frames):
    assert shown(track, 30) == frames
    assert touches(track, [8, 30]) == (8 in frames or 30 in frames)
    assert not touches(track, [])


def found(frame):
    return TrackedMask(Row(frame, 1, 0.5, False, ("uncertain",), False, 7), [0, 7, 1, 1, 7, 1])


def test_the_record_survives_a_crash_between_two_saves(tmp_path):
    asked = {"job": 3}
    with Ledger(tmp_path) as ledger:
        assert not ledger.begin(asked)
        ledger.note([found(1), found(2)])
        ledger.advance(0, 2)
        ledger.note([found(3)])  # and then the lights go out
    with Ledger(tmp_path) as ledger:
        assert ledger.begin(asked)
        assert list(ledger.results()) == [found(1), found(2)]
        ledger.note([found(3)])
        ledger.advance(1, 0)
        ledger.note([found(4)])
        ledger.advance(1, 1)
        ledger.again()
        assert list(ledger.results()) == [found(1), found(2), found(3)]
        assert (ledger.progress.part, ledger.progress.steps) == (1, 0)
        ledger.finish()
    with Ledger(tmp_path) as ledger:
        assert not ledger.begin(asked)  # the same again is a new run
        assert ledger.progress == JobProgress()
        assert list(ledger.results()) == []


def test_a_record_from_before_the_parts_had_their_name_goes_on(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin({"job": 3})
        ledger.advance(2, 5)
    place = tmp_path / "ledger.json"
    data = json.loads(place.read_text())
    data["progress"]["leg"] = data["progress"].pop("part")
    place.write_text(json.dumps(data))
    with Ledger(tmp_path) as ledger:
        assert ledger.begin({"job": 3})
        assert (ledger.progress.part, ledger.progress.steps) == (2, 5)


def test_another_run_keeps_what_was_written(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin({"job": 3})
        ledger.written["shape 9"] = [3, 3, 1, 7]
        ledger.note([found(1)])
        ledger.advance(0, 1)
    with Ledger(tmp_path) as ledger:
        assert not ledger.begin({"job": 3, "direction": "both"})
        assert ledger.written == {"shape 9": [3, 3, 1, 7]}
        assert list(ledger.results()) == []


@pytest.mark.parametrize("content", ["", "{}", '{"version": 99}', "[1]", '{"version": 2, "asked": {}, "written": 3}'])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "ledger.json").write_text(content)
    with pytest.raises(OutputError, match=r"ledger\.json is damaged"):
        Ledger(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--state"):
        Ledger(tmp_path / "file" / "below")
