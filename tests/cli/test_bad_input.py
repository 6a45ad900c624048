from __future__ import annotations

import pickle
import shutil

import cv2
import numpy as np
import pytest
import torch
from little_clip import HEIGHT, WIDTH, snapshot, solid, write_image

from agss_model.masks import read_label_map, write_label_map


def mask_file(path, values):
    cv2.imwrite(str(path), values)
    return path


def no_video(clip, tmp):
    return {"source": tmp / "nowhere.mp4"}


def truncated_video(clip, tmp):
    data = (clip / "clip.mp4").read_bytes()
    (tmp / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    return {"source": tmp / "cut.mp4"}


def headless_video(clip, tmp):
    (tmp / "cut.mp4").write_bytes((clip / "clip.mp4").read_bytes()[:200])
    return {"source": tmp / "cut.mp4"}


def text_as_video(clip, tmp):
    (tmp / "notes.mp4").write_text("these are notes")
    return {"source": tmp / "notes.mp4"}


def no_frames(clip, tmp):
    (tmp / "empty").mkdir()
    return {"source": tmp / "empty"}


def no_mask_file(clip, tmp):
    return {"masks": tmp / "nowhere.png"}


def mask_of_another_size(clip, tmp):
    return {"masks": mask_file(tmp / "first.png", np.ones((HEIGHT, WIDTH // 2), np.uint8))}


def mask_without_objects(clip, tmp):
    return {"masks": mask_file(tmp / "first.png", np.zeros((HEIGHT, WIDTH), np.uint8))}


def too_many_objects(clip, tmp):
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) % 301
    return {"masks": mask_file(tmp / "first.png", values)}


def picture_as_mask(clip, tmp):
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return {"masks": mask_file(tmp / "first.png", rgb)}


def jpeg_as_mask(clip, tmp):
    return {"masks": mask_file(tmp / "first.jpg", np.ones((HEIGHT, WIDTH), np.uint8))}


def damaged_mask(clip, tmp):
    (tmp / "first.png").write_bytes((clip / "truth" / "00000.png").read_bytes()[:60])
    return {"masks": tmp / "first.png"}


def mask_for_a_frame_outside(clip, tmp):
    shutil.copy(clip / "truth" / "00000.png", tmp / "00010.png")
    return {"masks": tmp / "00010.png"}


def frame_outside(clip, tmp):
    return {"more": ["--frame", "10"]}


def negative_frame(clip, tmp):
    return {"more": ["--frame", "-1"]}


def range_outside(clip, tmp):
    return {"more": ["--to", "10"]}


def range_turned_round(clip, tmp):
    return {"more": ["--from", "5", "--to", "2"]}


def range_out_of_reach(clip, tmp):
    return {"more": ["--frame", "8", "--to", "5"]}


def masks_without_numbers(clip, tmp):
    (tmp / "masks").mkdir()
    shutil.copy(clip / "truth" / "00000.png", tmp / "masks" / "first.png")
    return {"masks": tmp / "masks"}


def two_masks_for_a_frame(clip, tmp):
    (tmp / "masks").mkdir()
    for name in ("0.png", "00000.png"):
        shutil.copy(clip / "truth" / "00000.png", tmp / "masks" / name)
    return {"masks": tmp / "masks"}


def folder_without_masks(clip, tmp):
    (tmp / "masks").mkdir()
    return {"masks": tmp / "masks"}


def output_is_a_file(clip, tmp):
    (tmp / "file").write_text("mine")
    return {"out": tmp / "file"}


def output_below_a_file(clip, tmp):
    (tmp / "file").write_text("mine")
    return {"out": tmp / "file" / "out"}


def unknown_weights(clip, tmp):
    return {"more": ["--weights", "nothing"]}


def weights_missing(clip, tmp):
    return {"more": ["--weights", tmp / "nowhere.safetensors"]}


def weights_of_something_else(clip, tmp):
    torch.save({"layer.weight": torch.zeros(3)}, tmp / "model.pth")
    return {"more": ["--weights", tmp / "model.pth"]}


def pickle_as_weights(clip, tmp):
    (tmp / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))
    return {"more": ["--weights", tmp / "model.safetensors"]}


def unknown_device(clip, tmp):
    return {"more": ["--device", "abacus"]}


def absent_gpu(clip, tmp):
    return {"more": ["--device", "cuda:77"]}


def unknown_flow(clip, tmp):
    return {"more": ["--flow", "river"]}


def flow_without_weights(clip, tmp):
    return {"more": ["--flow", "flownet2c"]}


def no_threads(clip, tmp):
    return {"more": ["--threads", "0"]}


CASES = {
    no_video: ["nowhere.mp4", "does not exist"],
    truncated_video: ["cut.mp4"],
    headless_video: ["cut.mp4"],
    text_as_video: ["notes.mp4"],
    no_frames: ["empty", "no images"],
    no_mask_file: ["nowhere.png", "does not exist"],
    mask_of_another_size: [f"{WIDTH // 2}x{HEIGHT}", f"{WIDTH}x{HEIGHT}"],
    mask_without_objects: ["first.png", "no object"],
    too_many_objects: ["300 objects", "255"],
    picture_as_mask: ["first.png", "colour"],
    jpeg_as_mask: ["first.jpg", "JPEG"],
    damaged_mask: ["first.png"],
    mask_for_a_frame_outside: ["00010.png", "frame 10", "0 to 9"],
    frame_outside: ["frame 10", "0 to 9"],
    negative_frame: ["frame -1"],
    range_outside: ["10", "0 to 9"],
    range_turned_round: ["5 to 2"],
    range_out_of_reach: ["frame 8", "--direction both"],
    masks_without_numbers: ["first.png", "00048.png"],
    two_masks_for_a_frame: ["frame 0", "remove"],
    folder_without_masks: ["no masks"],
    output_is_a_file: ["file", "--out"],
    output_below_a_file: ["file", "--out"],
    unknown_weights: ["nothing", "shipped"],
    weights_missing: ["nowhere.safetensors"],
    weights_of_something_else: ["model.pth", "agss weights import"],
    pickle_as_weights: ["model.safetensors"],
    unknown_device: ["abacus", "cpu"],
    absent_gpu: ["cuda:77"],
    unknown_flow: ["river", "dis"],
    flow_without_weights: ["flownet2c", "import"],
    no_threads: ["--threads", "0"],
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_says_what_is_wrong_and_leaves_earlier_output_intact(agss, clip, done, tmp_path, case):
    earlier = shutil.copytree(done, tmp_path / "earlier")
    before = snapshot(earlier)
    settings = {"source": clip / "clip.mp4", "masks": clip / "truth" / "00000.png", "out": earlier, "more": []}
    settings |= case(clip, tmp_path)
    result = agss(
        "track", settings["source"], "--masks", settings["masks"], "--out", settings["out"], "--overwrite",
        *settings["more"],
    )  # fmt: skip
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    for words in CASES[case]:
        assert words in result.stderr.replace("\n", " ")
    assert snapshot(earlier) == before
    assert (tmp_path / "file").read_text() == "mine" if (tmp_path / "file").exists() else True


def test_a_flipped_byte_in_weights_is_noticed(agss, clip, tmp_path, tiny_weights):
    data = bytearray(tiny_weights.read_bytes())
    data[-1] ^= 0x40
    tiny_weights.write_bytes(bytes(data))
    result = agss(
        "track", clip / "clip.mp4", "--masks", clip / "truth" / "00000.png", "--out", tmp_path / "out",
        "--weights", tiny_weights,
    )  # fmt: skip
    assert result.exit_code == 2
    assert "damaged" in result.stderr
    assert not (tmp_path / "out").exists()


def test_debug_shows_where_an_error_came_from(agss, clip, tmp_path):
    result = agss("track", tmp_path / "no.mp4", "--masks", tmp_path / "no.png", "--out", tmp_path / "out", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_frames_that_change_size_stop_the_run_with_their_number(agss, clip, tmp_path):
    frames = shutil.copytree(clip / "frames", tmp_path / "frames")
    write_image(frames / "00004.png", solid(90, HEIGHT, WIDTH + 2))
    result = agss("track", frames, "--masks", clip / "truth" / "00000.png", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "frame 4" in result.stderr
    assert f"{WIDTH + 2}x{HEIGHT}" in result.stderr


def grey(rgb):
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def rgba(rgb):
    return np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 128, np.uint8)])


@pytest.mark.parametrize("convert", [grey, rgba])
def test_grey_and_rgba_frames_are_welcome(agss, clip, tmp_path, convert):
    (tmp_path / "frames").mkdir()
    for number in range(3):
        rgb = cv2.imread(str(clip / "frames" / f"{number:05d}.png"))[..., ::-1]
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), convert(np.ascontiguousarray(rgb)))
    out = tmp_path / "out"
    result = agss("track", tmp_path / "frames", "--masks", clip / "truth" / "00000.png", "--out", out)
    assert result.exit_code == 0, result.output
    assert len(list((out / "masks").iterdir())) == 3


@pytest.mark.parametrize("kind", ["16-bit", "palette colours"])
def test_16_bit_and_palette_colour_masks_are_welcome(agss, clip, tmp_path, kind):
    label_map = read_label_map(clip / "truth" / "00000.png")
    if kind == "16-bit":
        expected = label_map.astype(np.uint16) * 3000
        mask_file(tmp_path / "first.png", expected)
    else:
        expected = label_map
        colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)[label_map]
        write_image(tmp_path / "first.png", colours)
    out = tmp_path / "out"
    result = agss("track", clip / "clip.mp4", "--masks", tmp_path / "first.png", "--out", out, "--to", "2")
    assert result.exit_code == 0, result.output
    assert np.array_equal(read_label_map(out / "masks" / "00000.png"), expected)
    assert set(np.unique(read_label_map(out / "masks" / "00002.png"))) <= set(np.unique(expected))


@pytest.mark.parametrize(("width", "height"), [(1, 1), pytest.param(7680, 4320, marks=pytest.mark.slow)])
def test_the_smallest_and_very_large_frames_are_tracked(agss, tmp_path, width, height):
    (tmp_path / "frames").mkdir()
    frame = np.zeros((height, width, 3), np.uint8)
    frame[: height // 2 + 1] = (200, 60, 20)
    for number in range(2):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.jpg"), frame)
    write_label_map(tmp_path / "first.png", (frame[..., 0] > 0).astype(np.uint8))
    out = tmp_path / "out"
    result = agss("track", tmp_path / "frames", "--masks", tmp_path / "first.png", "--out", out)
    assert result.exit_code == 0, result.output
    assert read_label_map(out / "masks" / "00001.png").shape == (height, width)


def test_the_whole_part_of_a_cut_off_video_is_tracked_when_asked_for(agss, clip, tmp_path):
    from agss_model.video import open_source

    data = (clip / "clip.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 9 // 10])
    words = ["track", tmp_path / "cut.mp4", "--masks", clip / "truth" / "00000.png", "--out", tmp_path / "out"]
    refused = agss(*words)
    assert refused.exit_code == 2
    assert "--partial" in refused.stderr
    result = agss(*words, "--partial")
    assert result.exit_code == 0, result.output
    found = len(open_source(tmp_path / "cut.mp4", partial=True))
    assert f"{10 - found} of 10 frames are missing; {found} frames" in result.stderr
    assert f"missing are {found}" in result.stderr
    assert len(list((tmp_path / "out" / "masks").iterdir())) == found
