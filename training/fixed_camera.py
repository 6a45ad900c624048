"""First masks of one thing that moves before a fixed camera, by its difference from the empty scene.

A start for annotating, not truth: look at the masks (`agss data inspect --sheet`) and correct what is wrong. The worked
example of docs/finetuning.md was labelled with it.

python -m training.fixed_camera VIDEO --empty 0-49 --empty 460-494 --clip anna=61-202 --step 2 --out FOLDER
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import AgssError, ConfigError, OutputError
from agss_model.masks.files import write_label_map
from agss_model.masks.labels import BoolMask
from agss_model.video import FrameSource, open_source
from agss_model.video.source import Image

THRESHOLD = 0.42  # of the logarithm of the ratio to the empty scene, in units of the noise
CALM = 0.18  # below it a pixel shows the empty scene
COARSE = 8  # light that changes slowly over the frame is measured at this part of its size
HOLE = 1500  # pixels up to which holes belong to the object
ENTERED, LEFT = 0.01, 0.03  # shares of the frame from which on a clip begins, and below which it ends

Scene = npt.NDArray[np.float32]


def empty_scene(source: FrameSource, first: int, last: int) -> Scene:
    """The median of every third frame; (H, W, 3) float32 in [0, 255]."""
    middle = np.median(np.stack(list(source.frames(first, last + 1, 3))), axis=0)
    return np.asarray(middle, np.float32)


def moving(frame: Image, scene: Scene) -> BoolMask:
    """What differs from the empty scene, whatever the light and the camera's exposure do; its largest parts.

    Args:
        frame: (H, W, 3) uint8 RGB.
        scene: the same place, empty.

    Returns:
        (H, W) bool.
    """
    picture = frame.astype(np.float32)
    ratio = np.log((picture + 4) / (scene + 4))
    noise = np.sqrt((picture + scene) / 2 + 8) / 8  # bright pixels tell a ratio better
    calm = np.ones(frame.shape[:2], dtype=np.bool_)
    difference = np.zeros(frame.shape[:2], dtype=np.float32)
    for _ in range(3):  # each time the light is measured where nothing was found to move
        difference = cv2.GaussianBlur((np.abs(ratio - _light(ratio, calm)) * noise).max(-1), (0, 0), 1.2)
        calm = difference < CALM
    return _whole_parts(difference > THRESHOLD)


def _light(ratio: Scene, calm: BoolMask) -> Scene:
    """How much brighter each place has become, going by the calm pixels around it."""
    height, width = calm.shape
    small = (max(1, width // COARSE), max(1, height // COARSE))
    weight = cv2.resize(calm.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    value = cv2.resize(ratio * calm[..., None], small, interpolation=cv2.INTER_AREA)
    mean = cv2.GaussianBlur(value, (0, 0), 7.5) / (cv2.GaussianBlur(weight, (0, 0), 7.5) + 1e-3)[..., None]
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _whole_parts(found: BoolMask) -> BoolMask:
    mask = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(np.asarray(mask, np.uint8))
    areas = boxes[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0
    kept: BoolMask = np.isin(parts, np.flatnonzero(areas >= max(400.0, 0.06 * areas.max())))
    _, holes, boxes, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    small = [row for row in range(1, len(boxes)) if boxes[row, cv2.CC_STAT_AREA] < HOLE]
    return kept | np.isin(holes, small)


def label(
    source: FrameSource, empty: Sequence[tuple[int, int]], clip: tuple[str, int, int], step: int, out: Path
) -> int:
    """Write frames and masks of one clip in YouTube-VOS' layout; returns how many.

    Args:
        source: the video.
        empty: first and last frame of stretches without anything that moves.
        clip: name, first and last frame.
        step: distance of the frames that are kept.
        out: folder of the data set.
    """
    name, first, last = clip
    scenes = [((low + high) / 2, empty_scene(source, low, high)) for low, high in empty]
    numbers = range(first, last + 1, step)
    found: list[tuple[Image, BoolMask]] = []
    for number, frame in zip(numbers, source.frames(first, last + 1, step), strict=True):
        scene = min(scenes, key=lambda entry: abs(entry[0] - number))[1]
        found.append((frame, moving(frame, scene)))
    shares = [float(mask.mean()) for _, mask in found]
    begin = next((row for row, share in enumerate(shares) if share >= ENTERED), len(found))
    end = max((row for row, share in enumerate(shares) if share >= LEFT), default=-1) + 1
    for folder in ("JPEGImages", "Annotations"):
        (out / folder / name).mkdir(parents=True, exist_ok=True)
    for row, (frame, mask) in enumerate(found[begin:end]):
        cv2.imwrite(str(out / "JPEGImages" / name / f"{row:05d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        write_label_map(out / "Annotations" / name / f"{row:05d}.png", mask.astype(np.uint8))
    return max(0, end - begin)


def _stretch(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,8})-([0-9]{1,8})", text)
    if not found or int(found[1]) > int(found[2]):
        raise ConfigError(f"{text!r} is no stretch of frames; write FIRST-LAST")
    return int(found[1]), int(found[2])


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.fixed_camera", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("video", type=Path, help="from a camera that does not move")
    parser.add_argument(
        "--empty", action="append", required=True, metavar="FIRST-LAST", help="nothing moves; repeatable"
    )
    parser.add_argument("--clip", action="append", required=True, metavar="NAME=FIRST-LAST", help="one thing moves")
    parser.add_argument("--step", type=int, default=1, help="keep every so-many-th frame")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in YouTube-VOS' layout")
    given = parser.parse_args(arguments)
    try:
        if given.out.exists():
            raise OutputError(f"{given.out} exists; choose another --out")
        empty = [_stretch(text) for text in given.empty]
        clips = [(name, *_stretch(text)) for name, _, text in (entry.partition("=") for entry in given.clip)]
        with open_source(given.video) as source:
            for clip in clips:
                print(f"{clip[0]}: {label(source, empty, clip, given.step, given.out)} frames", flush=True)
    except AgssError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
