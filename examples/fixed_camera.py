"""First masks of one thing that moves before a fixed camera, by its difference from the empty scene.

A start for annotating, not truth: look at the masks (`agss data inspect --sheet`) and correct what is wrong. The worked
example of docs/finetuning.md was labelled with it.

python examples/fixed_camera.py VIDEO --empty 0-49 --empty 460-494 --clip anna=61-202 --step 2 --out FOLDER
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
SHAKE = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # pixels by which a fixed camera may still tremble
TINT = 0.12  # a shadow darkens all colours alike, up to this
ENTERED, LEFT = 0.01, 0.03  # shares of the frame from which on a clip begins, and below which it ends

BLUER = 0.08  # rise of the logarithm of blue over red
CLOSING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
SMALLEST = 0.06  # parts, of the largest one

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
    return _different(frame, scene)[0]


def rigid(frame: Image, scene: Scene) -> BoolMask:
    """A body without gaps, such as a car: the hull of what moves, without the shadow beside it; see `moving`."""
    return _hull(*_different(frame, scene))


def _different(frame: Image, scene: Scene) -> tuple[BoolMask, Scene]:
    """What moves, and the logarithm of the ratio to the empty scene in the present light."""
    picture = frame.astype(np.float32)
    ratio = np.log((picture + 4) / (scene + 4))
    noise = np.sqrt((picture + scene) / 2 + 8) / 8  # bright pixels tell a ratio better
    calm = np.ones(frame.shape[:2], dtype=np.bool_)
    light = np.zeros_like(ratio)
    for _ in range(2):  # the light is measured where nothing was found to move
        light = _light(ratio, calm)
        calm = cv2.GaussianBlur((np.abs(ratio - light) * noise).max(-1), (0, 0), 1.2) < CALM
    light = _light(ratio, calm)
    moved = (np.log((picture + 4) / (np.roll(scene, by, (0, 1)) + 4)) for by in SHAKE)
    difference = np.minimum.reduce([(np.abs(one - light) * noise).max(-1) for one in moved])
    return _whole_parts(cv2.GaussianBlur(difference, (0, 0), 1.2) > THRESHOLD), ratio - light


def _hull(found: BoolMask, ratio: Scene) -> BoolMask:
    """The hull of the large parts that are not merely darker, as a shadow is."""
    smooth = cv2.GaussianBlur(ratio, (0, 0), 1.2)
    shadow = (smooth.max(-1) < 0) & (smooth.max(-1) - smooth.min(-1) < TINT)
    body = cv2.morphologyEx((found & ~shadow).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(np.asarray(body, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = np.zeros(found.shape, np.uint8)
    areas = [cv2.contourArea(outline) for outline in outlines]
    parts = [outline for outline, area in zip(outlines, areas, strict=True) if area >= 0.1 * max(areas)]
    if parts:
        cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(parts)), 1)
    return hull > 0


def bluer(frame: Image, scene: Scene) -> BoolMask:
    """What is bluer than the empty scene; neither hands, which are redder, nor shadows and reflections of light.

    Args:
        frame: (H, W, 3) uint8 RGB.
        scene: the same place, empty.

    Returns:
        (H, W) bool, without holes.
    """
    found = (_blueness(frame.astype(np.float32)) - _blueness(scene) > BLUER).astype(np.uint8)
    found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_CLOSE, CLOSING), np.uint8)
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    whole = [o for o, area in zip(outlines, areas, strict=True) if area >= max(150.0, SMALLEST * max(areas))]
    return np.asarray(cv2.drawContours(np.zeros_like(found), whole, -1, 1, -1)) > 0


def _blueness(picture: Scene) -> Scene:
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return np.asarray(np.log((smooth[..., 2] + 8) / (smooth[..., 0] + 8)), np.float32)


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
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, CLOSING)
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(np.asarray(mask, np.uint8))
    areas = boxes[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0
    kept: BoolMask = np.isin(parts, np.flatnonzero(areas >= max(400.0, SMALLEST * areas.max())))
    _, holes, boxes, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    small = [row for row in range(1, len(boxes)) if boxes[row, cv2.CC_STAT_AREA] < HOLE]
    return kept | np.isin(holes, small)


@dataclass(frozen=True)
class Clip:
    """What to label.

    Attributes:
        name: of the clip.
        first: first frame.
        last: last frame.
        columns: left and right edge of where the thing moves, pixels; None for anywhere.
    """

    name: str
    first: int
    last: int
    columns: tuple[int, int] | None = None


def label(
    source: FrameSource,
    empty: Sequence[tuple[int, int]],
    clip: Clip,
    step: int,
    out: Path,
    find: Callable[[Image, Scene], BoolMask] = moving,
) -> int:
    """Write frames and masks of one clip in YouTube-VOS' layout; returns how many.

    Args:
        source: the video.
        empty: first and last frame of stretches without anything that moves.
        clip: what to label.
        step: distance of the frames that are kept.
        out: folder of the data set.
        find: the thing in a frame, going by the empty scene.
    """
    scenes = [((low + high) / 2, empty_scene(source, low, high)) for low, high in empty]
    numbers = range(clip.first, clip.last + 1, step)
    left, right = clip.columns or (0, source.size[0])
    found: list[tuple[Image, BoolMask]] = []
    for number, frame in zip(numbers, source.frames(clip.first, clip.last + 1, step), strict=True):
        scene = min(scenes, key=lambda entry: abs(entry[0] - number))[1]
        mask = np.zeros(frame.shape[:2], np.bool_)
        mask[:, left:right] = find(frame[:, left:right], scene[:, left:right])
        found.append((frame, mask))
    shares = [float(mask.mean()) for _, mask in found]
    begin = next((row for row, share in enumerate(shares) if share >= ENTERED), len(found))
    end = max((row for row, share in enumerate(shares) if share >= LEFT), default=-1) + 1
    for folder in ("JPEGImages", "Annotations"):
        (out / folder / clip.name).mkdir(parents=True, exist_ok=True)
    for row, (frame, mask) in enumerate(found[begin:end]):
        place = out / "JPEGImages" / clip.name / f"{row:05d}.jpg"
        cv2.imwrite(str(place), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        write_label_map(out / "Annotations" / clip.name / f"{row:05d}.png", mask.astype(np.uint8))
    return max(0, end - begin)


def _clip(text: str) -> Clip:
    name, _, rest = text.partition("=")
    stretch, mark, columns = rest.partition("@")
    return Clip(name, *_stretch(stretch), columns=_stretch(columns) if mark else None)


FINDERS = {"moving": moving, "rigid": rigid, "bluer": bluer}


def _stretch(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,8})-([0-9]{1,8})", text)
    if not found or int(found[1]) > int(found[2]):
        raise ConfigError(f"{text!r} is no stretch of frames; write FIRST-LAST")
    return int(found[1]), int(found[2])


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python examples/fixed_camera.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("video", type=Path, help="from a camera that does not move")
    parser.add_argument(
        "--empty", action="append", required=True, metavar="FIRST-LAST", help="nothing moves; repeatable"
    )
    parser.add_argument(
        "--clip",
        action="append",
        required=True,
        metavar="NAME=FIRST-LAST[@LEFT-RIGHT]",
        help="one thing moves (between these columns); repeatable",
    )
    parser.add_argument(
        "--find",
        choices=FINDERS,
        default="moving",
        help="whatever differs; the hull of a body such as a car, without its shadow; what is bluer, such as glass",
    )
    parser.add_argument("--step", type=int, default=1, help="keep every so-many-th frame")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in YouTube-VOS' layout")
    given = parser.parse_args(arguments)
    try:
        if given.out.exists():
            raise OutputError(f"{given.out} exists; choose another --out")
        empty = [_stretch(text) for text in given.empty]
        clips = [_clip(text) for text in given.clip]
        with open_source(given.video) as source:
            for clip in clips:
                count = label(source, empty, clip, given.step, given.out, FINDERS[given.find])
                print(f"{clip.name}: {count} frames", flush=True)
    except AgssError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
