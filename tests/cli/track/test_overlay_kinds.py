"""The overlay keeps the clip's time and shape, and comes as a video, as images, or not at all."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from little_clip import snapshot

from agss_model.evaluation.benchmark import Scene
from agss_model.masks import to_label_map, write_label_map
from agss_model.runs.traces import Traces
from agss_model.video import VideoWriter, open_source

TIMES = [Fraction(milliseconds, 1000) for milliseconds in (0, 10, 50, 51, 300, 700)]


@pytest.fixture
def odd(tmp_path):
    """A clip of uneven times and wide pixels, and its first mask."""
    frames = Scene(2, 96, 64, "large").frames()
    with VideoWriter(tmp_path / "odd.mp4", 25, (96, 64), aspect=Fraction(4, 3), steady=False) as video:
        for number, time in enumerate(TIMES):
            frame, masks = next(frames)
            video.write(frame, time)
            if number == 0:
                write_label_map(tmp_path / "first.png", to_label_map(masks))
    return tmp_path


def track(agss, folder, *words):
    result = agss("track", folder / "odd.mp4", "--masks", folder / "first.png", "--out", folder / "out", *words)
    assert result.exit_code == 0, result.output
    return folder / "out"


def shown(path):
    with av.open(str(path)) as video:
        times = [frame.pts * frame.time_base for frame in video.decode(video=0)]
        return [time - times[0] for time in times], video.streams.video[0].sample_aspect_ratio


def test_the_overlay_is_shown_as_long_and_as_wide_as_the_clip(agss, odd):
    assert shown(odd / "odd.mp4") == (TIMES, Fraction(4, 3))
    assert shown(track(agss, odd) / "overlay.mp4") == (TIMES, Fraction(4, 3))


def test_a_part_of_the_clip_starts_at_its_own_first_frame(agss, odd):
    out = track(agss, odd, "--from", "2")
    assert shown(out / "overlay.mp4")[0] == [time - TIMES[2] for time in TIMES[2:]]


def test_frames_are_images_named_like_masks(agss, odd):
    out = track(agss, odd, "--overlay", "frames", "--json")
    assert not (out / "overlay.mp4").exists()
    names = [path.stem for path in sorted((out / "overlay").iterdir())]
    assert names == [path.stem for path in sorted((out / "masks").iterdir())]
    with open_source(out / "overlay") as frames:
        assert frames.size == (96, 64)
    record = json.loads((out / "run.json").read_text())
    assert {f"overlay/{name}.jpg" for name in names} < record["files"].keys()


def test_a_finished_run_gets_the_kind_it_lacks_and_keeps_the_other(agss, odd):
    out = track(agss, odd, "--overlay", "none")
    before = snapshot(out)
    assert {path.name for path in out.iterdir()} == {".states", "masks", "run.json", "scores.csv"}
    track(agss, odd, "--overlay", "frames")
    track(agss, odd, "--overlay", "video")
    after = snapshot(out)
    assert {name for name in after if name not in before} == {
        "overlay.mp4",
        *(f"overlay/{n:05d}.jpg" for n in range(6)),
    }
    track(agss, odd, "--overwrite", "--overlay", "none")
    assert snapshot(out).keys() == before.keys()
    assert not (out / "overlay").exists()


@pytest.mark.parametrize("step", ["write_record", "remove_progress"])
def test_an_overlay_whose_run_ended_before_its_last_step_is_the_runs_own_all_the_same(agss, odd, monkeypatch, step):
    out = track(agss, odd, "--overlay", "none")
    before = snapshot(out)
    with monkeypatch.context() as patch:
        patch.setattr(Traces, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        words = ["track", odd / "odd.mp4", "--masks", odd / "first.png", "--out", out]
        assert agss(*words).exit_code == 130
    track(agss, odd)
    assert snapshot(out).keys() == {*before, "overlay.mp4"}
    assert not (out / ".progress").exists()
    track(agss, odd, "--overwrite", "--overlay", "none")
    assert snapshot(out).keys() == before.keys()


def test_a_changed_image_of_the_overlay_is_somebodys_and_stays(agss, odd):
    out = track(agss, odd, "--overlay", "frames")
    (out / "overlay" / "00003.jpg").write_text("mine")
    result = agss("track", odd / "odd.mp4", "--masks", odd / "first.png", "--out", out, "--overwrite")
    assert result.exit_code == 2
    assert "overlay/00003.jpg" in result.stderr
    assert (out / "overlay" / "00003.jpg").read_text() == "mine"


def test_an_animation_keeps_the_time_of_each_picture(agss, odd):
    from PIL import Image

    with open_source(odd / "odd.mp4") as clip:
        pictures = [Image.fromarray(frame) for frame in clip.frames()]
    durations = [40, 200, 40, 80, 40, 500]
    pictures[0].save(odd / "odd.webp", save_all=True, append_images=pictures[1:], duration=durations, lossless=True)
    (odd / "odd.mp4").unlink()
    (odd / "odd.webp").rename(odd / "odd2.webp")
    result = agss("track", odd / "odd2.webp", "--masks", odd / "first.png", "--out", odd / "out")
    assert result.exit_code == 0, result.output
    expected = np.cumsum([0, *durations[:-1]]) / 1000
    assert [float(time) for time in shown(odd / "out" / "overlay.mp4")[0]] == pytest.approx(expected.tolist())
