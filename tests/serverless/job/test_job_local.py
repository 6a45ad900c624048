"""`agss cvat track` with weights on this machine."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from fake_cvat import TOKEN, FakeCvat, Function
from stand_ins import let_segment
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.clips import propagate
from agss_model.cvat.server import client as cvat_server
from agss_model.engines.loading import Engine, load_engine
from agss_model.flow import build_flow
from agss_model.masks import decode_cvat_mask, encode_cvat_mask, to_label_map
from agss_model.video import open_source
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes
from serverless.function.service import answer
from serverless.job import command
from serverless.job import run as job
from serverless.job.drawn import Boxes, DrawnKeyframes
from serverless.job.objects import Groups, Target
from serverless.job.read import Drawing, read_job
from serverless.job.track import JobFrames

FRAMES = 12


@pytest.fixture
def engine(lite, monkeypatch):
    """Untrained, the network would lose all objects, so it believes the flow and what it was shown last."""
    let_segment(monkeypatch, lite, lambda features, asked: asked.warped)
    engine = Engine(lite, build_flow("dis"), "believer")
    monkeypatch.setattr(command, "load_engine", lambda *arguments, **more: engine)
    return engine


def start(scene, keys=(0,)):
    cvat = FakeCvat([scene.frame(t) for t in range(FRAMES)])
    for frame in keys:
        for number, mask in scene.masks(frame).items():
            cvat.draw(1, "mask", frame, encode_cvat_mask(mask), group=10 + number)
    return cvat


def track(server, *arguments, code=0):
    result = CliRunner().invoke(app, ["cvat", "track", "--host", server.url, "--job", "1", *arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return " ".join(result.output.split())


def written(server):
    return sorted(
        (s["frame"], s["group"], s["points"], round(s["score"], 9))
        for s in server.jobs[1].shapes
        if s["source"] == "auto"
    )


def fetched(server):
    return [int(path.split("number=")[1].split("&")[0]) for _, path in server.requests if "number=" in path]


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("keys", [(0,), (2, 7)])
def test_the_masks_are_those_of_propagate(engine, scene, direction, keys):
    with start(scene, keys) as cvat:
        track(cvat, "--direction", direction)
        server = cvat_server.connect(cvat.url, token=TOKEN)
        source = JobFrames(server, read_job(server, 1), range(FRAMES))
        maps = {frame: to_label_map(scene.masks(frame)) for frame in keys}
        expected = {}
        for result in propagate(source, maps, engine.network, direction=direction, flow=engine.flow):
            for number in set(result.object_ids) - result.lost - result.human:
                expected[result.frame_index, 10 + number] = result.label_map == number
        found = {
            (frame, group): decode_cvat_mask(points, width=scene.width, height=scene.height)
            for frame, group, points, _ in written(cvat)
        }
    assert set(found) == set(expected)
    assert len(found) >= 2 * (FRAMES - 4)
    agreement = [np.mean(found[key] == expected[key]) for key in found]
    assert min(agreement) > (0.98 if direction == "both" else 0.999999)  # ends of the clip know less of each other


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_a_run_that_broke_off_continues_and_ends_the_same(engine, scene, direction):
    keys = {"forward": (0,), "backward": (11,), "both": (5,)}[direction]
    with start(scene, keys) as whole:
        track(whole, "--direction", direction)
    with start(scene, keys) as broken:
        before = [dict(shape) for shape in broken.jobs[1].shapes]
        broken.fail("GET", "number=", skip=9, times=99, status=500)
        assert "status 500" in track(broken, "--direction", direction, code=2)
        broken.faults.clear()
        broken.requests.clear()
        assert "an unfinished run is continued" in track(broken, "--direction", direction)
        assert len(fetched(broken)) < FRAMES
        assert [s for s in broken.jobs[1].shapes if s["source"] == "manual"] == before
        assert written(broken) == written(whole)


def test_ctrl_c_stops_at_the_next_frame_and_continues(engine, scene, monkeypatch):
    monkeypatch.setattr(job, "BLOCK", 8)
    with start(scene) as whole:
        track(whole)
    with start(scene) as cvat:
        original = cvat._frame

        def frame(job, query):
            if query["number"] == "5":
                os.kill(os.getpid(), signal.SIGINT)
            return original(job, query)

        cvat._frame = frame
        assert "The same command continues" in track(cvat, code=130)
        assert max((frame for frame, *_ in written(cvat)), default=0) < 7
        assert len(written(cvat)) < len(written(whole))
        cvat._frame = original
        track(cvat)
        assert written(cvat) == written(whole)


def test_other_weights_start_anew(engine, scene, monkeypatch):
    with start(scene) as cvat:
        cvat.fail("GET", "number=", skip=9, times=99, status=500)
        track(cvat, code=2)
        cvat.faults.clear()
        monkeypatch.setattr(Engine, "fingerprint", lambda self: "others")
        assert "continued" not in track(cvat)
        assert {frame for frame, *_ in written(cvat)} == set(range(1, FRAMES))


def test_frames_are_read_by_exact_number_and_deleted_ones_are_left_out(scene):
    with start(scene) as cvat:
        cvat.jobs[1].deleted = {3, 4}
        server = cvat_server.connect(cvat.url, token=TOKEN)
        info = read_job(server, 1)
        source = JobFrames(server, info, info.frames(2, 8))
        assert source.numbers == (2, 5, 6, 7, 8)
        for position, number in enumerate(source.numbers):
            np.testing.assert_array_equal(source.read(position), scene.frame(number))
        backwards = list(source.frames(4, None, -2))
        np.testing.assert_array_equal(backwards[1], scene.frame(6))
        assert source.size == (scene.width, scene.height)


def test_one_job_is_tracked_by_one_command_at_a_time(engine, scene, tmp_path):
    from serverless.job.ledger import Ledger

    with start(scene) as cvat, Ledger(tmp_path / "held"):
        assert "Another command is tracking this job" in track(cvat, "--state", str(tmp_path / "held"), code=2)
        assert not [request for request in cvat.requests if request[0] == "PATCH"]


def test_with_the_function_of_this_project_behind_cvat(engine, scene):
    """Masks, states and lost objects go through CVAT's signing and the function's own code."""
    scenes = Scenes(engine.network, FeatureCache(64 << 20))
    with start(scene) as cvat:
        cvat.functions["agss-vos"] = Function(lambda body: json.loads(answer(scenes, body)))
        track(cvat, "--model", "function")
        found = written(cvat)
        assert {(frame, group) for frame, group, *_ in found} == {(f, g) for f in range(1, FRAMES) for g in (11, 12)}
        for frame, group, points, _ in found:
            mask = decode_cvat_mask(points, width=scene.width, height=scene.height)
            truth = scene.masks(frame)[group - 10]
            assert (mask & truth).sum() / (mask | truth).sum() > 0.5
    assert not fetched(cvat)  # no picture came to this machine


def test_boxes_are_filled_with_what_stands_out_in_them():
    """A disc in a box; the picture is fetched once, however often its keyframe is looked at."""
    y, x = np.mgrid[:96, :128]
    disc = (x - 60) ** 2 + (y - 50) ** 2 < 25**2
    picture = np.random.default_rng(0).integers(60, 80, (96, 128, 3), dtype=np.uint8)
    picture[disc] += 120
    read = []
    drawing = Drawing(3, 1, 5, "shape 1", "rectangle", [35, 25, 86, 76], (128, 96), 0, {})
    boxes = Boxes(lambda frame: read.append(frame) or picture)
    target = Target(1, 1, 5, 0, {})
    maps = DrawnKeyframes([drawing], Groups(()), [target], [2, 3], boxes)
    for _ in range(3):
        found = maps[1] == 1
        assert (found & disc).sum() / (found | disc).sum() > 0.95
    assert read == [3]


@pytest.mark.slow
def test_the_demonstration_clip_with_shipped_weights():
    """From a person's masks on the first frame; the last frame is compared with what a person drew there."""
    from pathlib import Path

    import agss_model
    from agss_model.masks import read_label_map, to_masks

    folder = Path(agss_model.__file__).parent / "demo_clip"
    with open_source(folder / "pedestrians.mp4") as clip:
        images = list(clip.frames(0, 12))
    first = to_masks(read_label_map(folder / "pedestrians_first.png"))
    with FakeCvat(images) as cvat:
        for number, mask in first.items():
            cvat.draw(1, "mask", 0, encode_cvat_mask(mask), group=number)
        engine = load_engine(None, None, "cpu", 1, engine="auto")
        output = track(cvat, "--device", "cpu", "--threads", "1")
        height, width = images[0].shape[:2]
        found = {
            (frame, group): decode_cvat_mask(points, width=width, height=height)
            for frame, group, points, _ in written(cvat)
        }
        tracker = engine.tracker()
        results = [tracker.add(images[0], first), *(tracker.step(image) for image in images[1:])]
    assert "Went through 12 frames" in output
    for result in results[1:]:
        for number in set(result.object_ids) - result.lost:
            np.testing.assert_array_equal(found[result.frame_index, number], result.label_map == number)
    assert len(found) >= 7 * 11 * 0.8


def test_a_job_is_learned_from_before_it_is_tracked(engine, scene, monkeypatch, tmp_path):
    asked = []

    def learn(weights, source, label_maps, folder, report, minutes):
        shown = {number: np.unique(label_map).tolist() for number, label_map in label_maps.items()}
        asked.append((weights, len(source), shown, folder, minutes))
        return "learned.safetensors"

    loaded = []
    monkeypatch.setattr(command, "adapted_weights", learn)
    monkeypatch.setattr(command, "load_engine", lambda weights, *rest, **more: loaded.append(weights) or engine)
    with start(scene, (0, 7)) as cvat:
        track(cvat, "--adapt", "2", "--state", str(tmp_path / "state"), "--from", "0", "--to", "9")
        assert asked == [("lite", 10, {0: [0, 1, 2], 7: [0, 1, 2]}, tmp_path / "state" / "adapted", 2.0)]
        assert loaded == ["learned.safetensors"]
        assert "leave out" in track(cvat, "--adapt", "2", "--model", "function", code=2)
