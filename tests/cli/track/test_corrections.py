"""More or changed masks: only what depends on them is tracked again, and the result is that of a run from the start."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from little_clip import COUNT, snapshot

from agss_model.masks import object_ids, read_label_map, write_label_map
from agss_model.runs import recorder
from agss_model.tracking.tracker import Tracker


def give(clip, folder, *frames):
    folder.mkdir(exist_ok=True)
    for frame in frames:
        shutil.copy(clip / "truth" / f"{frame:05d}.png", folder)
    return folder


def track(agss, clip, masks, out, *more):
    return agss("track", clip / "clip.mp4", "--masks", masks, "--out", out, "--overlay", "none", *more)


@pytest.fixture
def counted(monkeypatch):
    """Numbers of the frames that a network had to look at, in order."""
    frames = []
    look = Tracker._look
    monkeypatch.setattr(
        Tracker, "_look", lambda self, frame, index, size: frames.append(index) or look(self, frame, index, size)
    )
    return frames


def redraw(path):
    """Another drawing of the same objects."""
    label_map = read_label_map(path)
    label_map[:, ::7] = 0
    write_label_map(path, label_map)


@pytest.mark.parametrize(
    ("direction", "given", "changed", "again"),
    [
        ("forward", (0, 6), 6, range(6, COUNT)),
        ("backward", (9, 4), 4, range(5)),
        ("both", (0, 3, 6, 9), 6, range(3, 9)),
        ("both", (0, 5), 0, range(5)),
    ],
)
def test_a_changed_mask_tracks_only_what_depends_on_it(
    agss, clip, tmp_path, counted, monkeypatch, direction, given, changed, again
):
    monkeypatch.setattr(recorder, "SAVE_EVERY", 3)
    masks, out, words = give(clip, tmp_path / "given", *given), tmp_path / "out", ["--direction", direction]
    assert track(agss, clip, masks, out, *words).exit_code == 0
    before = snapshot(out / "masks")
    redraw(masks / f"{changed:05d}.png")
    counted.clear()
    result = track(agss, clip, masks, out, *words)
    assert result.exit_code == 0, result.output
    assert f"tracked again {again[0]}-{again[-1]}" in " ".join(result.stdout.split())
    assert set(counted) <= {*again, *given}
    assert set(again) <= set(counted)
    assert track(agss, clip, masks, tmp_path / "whole", *words).exit_code == 0
    assert snapshot(out / "masks") == snapshot(tmp_path / "whole" / "masks")
    assert (out / "scores.csv").read_bytes() == (tmp_path / "whole" / "scores.csv").read_bytes()
    same = {name for name, data in snapshot(out / "masks").items() if data == before[name]}
    assert {f"{number:05d}.png" for number in range(COUNT) if number not in again} <= same
    counted.clear()
    assert "complete" in track(agss, clip, masks, out, *words).stdout
    assert counted == []


def test_a_mask_more_goes_on_from_the_nearest_state(agss, clip, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(recorder, "SAVE_EVERY", 3)
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    give(clip, masks, 7)
    counted.clear()
    assert track(agss, clip, masks, out).exit_code == 0
    assert counted == [6, 7, 8, 9]  # the state after frame 5 is the nearest
    assert track(agss, clip, masks, tmp_path / "whole").exit_code == 0
    assert snapshot(out / "masks") == snapshot(tmp_path / "whole" / "masks")


def test_a_mask_taken_away_is_a_correction_too_and_so_is_one_in_an_unfinished_run(agss, clip, tmp_path, monkeypatch):
    masks, out = give(clip, tmp_path / "given", 0, 5), tmp_path / "out"
    step = Tracker.step

    def stopping(self, frame, number=None):
        if number == 8:
            raise KeyboardInterrupt
        return step(self, frame, number)

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "step", stopping)
        assert track(agss, clip, masks, out).exit_code == 130
    (masks / "00005.png").unlink()
    result = track(agss, clip, masks, out)
    assert result.exit_code == 0, result.output
    assert track(agss, clip, masks, tmp_path / "whole").exit_code == 0
    assert snapshot(out / "masks") == snapshot(tmp_path / "whole" / "masks")


@pytest.mark.parametrize("number", range(1, 10))
def test_a_killed_correction_leaves_the_earlier_run_and_goes_on(agss, clip, tmp_path, monkeypatch, number):
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    before = snapshot(out)
    give(clip, masks, 4)
    step, left = Tracker.step, [KeyboardInterrupt()]

    def dying(self, frame, index=None):
        if index == number and left:
            raise left.pop()
        return step(self, frame, index)

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "step", dying)
        track(agss, clip, masks, out)
        if not left:
            assert {name: data for name, data in snapshot(out).items() if not name.startswith(".next")} == before
    assert track(agss, clip, masks, out).exit_code == 0
    assert track(agss, clip, masks, tmp_path / "whole").exit_code == 0
    assert snapshot(out / "masks") == snapshot(tmp_path / "whole" / "masks")


def test_a_mask_corrected_in_place_is_not_lost(agss, clip, tmp_path):
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    redraw(out / "masks" / "00004.png")
    drawn = (out / "masks" / "00004.png").read_bytes()
    give(clip, masks, 6)
    refused = track(agss, clip, masks, out)
    assert refused.exit_code == 2
    assert "masks/00004.png" in refused.stderr
    assert "--masks" in refused.stderr
    assert (out / "masks" / "00004.png").read_bytes() == drawn
    shutil.copy(out / "masks" / "00004.png", masks)
    assert track(agss, clip, masks, out).exit_code == 0
    assert np.array_equal(read_label_map(out / "masks" / "00004.png"), read_label_map(masks / "00004.png"))


def test_what_the_run_wrote_is_not_taken_for_drawn(agss, clip, tmp_path):
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    refused = track(agss, clip, out / "masks", out)
    assert refused.exit_code == 2
    assert "another folder" in refused.stderr


def test_a_longer_stretch_goes_on_where_the_shorter_ended(agss, clip, tmp_path, counted):
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out, "--to", "5").exit_code == 0
    counted.clear()
    assert track(agss, clip, masks, out).exit_code == 0
    assert counted == [6, 7, 8, 9]


def test_few_states_are_kept(agss, clip, tmp_path, monkeypatch, counted):
    from agss_model.runs import states

    monkeypatch.setattr(recorder, "SAVE_EVERY", 1)
    monkeypatch.setattr(states, "MOST", 4)
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    kept = sorted(int(path.name[:5]) for path in (out / ".states").iterdir())
    assert len(kept) == 4
    assert kept[-1] == COUNT - 1
    assert max(np.diff(kept)) <= 5
    give(clip, masks, 5)
    assert track(agss, clip, masks, out).exit_code == 0
    marks = {path.name for path in (out / ".states").iterdir()}
    assert len(marks) <= 8
    assert json.loads((out / "run.json").read_text())["finished"]


# An object can end.


def absent(masks, frame, *ids):
    (masks / f"{frame:05d}.json").write_text(json.dumps({"absent": list(ids)}))


def shown(out):
    paths = sorted((out / "masks").iterdir())
    return {int(path.stem): object_ids(read_label_map(path)) for path in paths}


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_an_absent_object_is_gone_until_a_later_mask_shows_it(agss, clip, tmp_path, direction):
    masks, out = give(clip, tmp_path / "given", 0, 7), tmp_path / "out"
    absent(masks, 4, 2)
    assert track(agss, clip, masks, out, "--direction", direction).exit_code == 0
    seen = shown(out)
    assert [2 in seen[number] for number in range(COUNT)] == [number < 4 or number >= 7 for number in range(COUNT)]
    assert all(1 in seen[number] for number in range(COUNT))
    assert not [line for line in (out / "scores.csv").read_text().splitlines() if line.startswith(("4,2,", "6,2,"))]


def test_an_absent_object_is_gone_backward_as_well(agss, clip, tmp_path):
    masks, out = give(clip, tmp_path / "given", 2, 7), tmp_path / "out"
    absent(masks, 4, 2)
    assert track(agss, clip, masks, out, "--direction", "backward").exit_code == 0
    assert [2 in ids for ids in shown(out).values()] == [number < 3 or number == 7 for number in range(8)]


def test_all_objects_can_end_and_a_zero_mask_may_stand_beside_the_note(agss, clip, tmp_path):
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    write_label_map(masks / "00003.png", np.zeros((64, 96), np.uint8))
    refused = track(agss, clip, masks, out)
    assert refused.exit_code == 2
    assert '{"absent": [3]}' in refused.stderr
    (masks / "00003.json").write_text('{"absent": [1, 2]}', encoding="utf-8-sig")  # as on Windows
    assert track(agss, clip, masks, out).exit_code == 0
    assert [ids for ids in shown(out).values()] == [(1, 2)] * 3 + [()] * 7


def test_saying_that_an_object_is_absent_is_a_correction(agss, clip, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(recorder, "SAVE_EVERY", 3)
    masks, out = give(clip, tmp_path / "given", 0), tmp_path / "out"
    assert track(agss, clip, masks, out).exit_code == 0
    absent(masks, 6, 2)
    counted.clear()
    assert track(agss, clip, masks, out).exit_code == 0
    assert counted == [6, 7, 8, 9]
    assert [2 in ids for ids in shown(out).values()] == [number < 6 for number in range(COUNT)]


@pytest.mark.parametrize(
    ("note", "words"),
    [('{"absent": [9]}', "no mask shows it"), ('{"absent": [1]}', "shows it"), ("[3]", "absent"), ("{", "absent")],
)
def test_notes_that_say_nothing_sensible_are_refused(agss, clip, tmp_path, note, words):
    masks = give(clip, tmp_path / "given", 0)
    (masks / "00000.json").write_text(note)
    refused = track(agss, clip, masks, tmp_path / "out")
    assert refused.exit_code == 2
    assert words in refused.stderr
