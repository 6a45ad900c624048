"""A folder of clips -> frames and masks in DAVIS' layout; what is there already is not made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2

from agss_model.bounded_json import read_json
from agss_model.errors import MaskError, MediaError, OutputError
from agss_model.files import explained, unfinished, write_json
from agss_model.masks.files import by_number, write_label_map
from agss_model.masks.labels import LabelMap
from agss_model.network.base import AGSSVOS
from agss_model.video import open_source
from agss_model.video.images import encode_picture
from agss_model.video.source import FrameSource, Image, IndexedFrames
from training.annotations.prepare import scaled
from training.data.evaluation_data import refuse_evaluation_data
from training.pseudo_labels.agreement import there_and_back
from training.pseudo_labels.regions import SalientObjects, stand_out
from training.pseudo_labels.salience import Map

FRAMES = 40
"""Of a clip, at most: what is drawn in one of them must be followed to all."""
FEWEST = 8
"""Frames with masks from which on a clip is of use."""
LOOKS = (0.25, 0.5, 0.75)
"""Where in the clip objects are looked for; the clearest frame is taken."""
SIDE = 480
"""Longest side that is kept, pixels; clips in training are smaller."""
LEFT_OUT = "left_out.json"

FindSalient = Callable[[Image], Map]
"""From a frame, (H, W, 3) uint8, to how salient each pixel is, (H, W) float32 in [0, 1]."""


class Beginning(IndexedFrames):
    """The first frames of a clip, in memory, at the size that is kept."""

    fps = 1.0

    def __init__(self, clip: FrameSource) -> None:
        scale = min(1.0, SIDE / max(clip.size))
        shown = clip.frames(0, min(FRAMES, len(clip)))
        self._pictures: list[Image] = [scaled(picture, scale, cv2.INTER_AREA) for picture in shown]
        self.name, self.size = clip.name, self._pictures[0].shape[1::-1]

    def __len__(self) -> int:
        return len(self._pictures)

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        return self._pictures[self._check(index)].copy()


def label_clips(clips: Path, out: Path, network: AGSSVOS, salient: FindSalient, say: Callable[[str], None]) -> int:
    """Label every clip of a folder; one that cannot be used is left out and named in `left_out.json`.

    Args:
        clips: folder of video files, or of folders of images.
        out: made if missing; gets `JPEGImages/CLIP` and `Annotations/CLIP`.
        network: that tracks, in eval mode.
        salient: finds what stands out.
        say: gets a line for each clip.

    Returns:
        Clips that are labelled now.

    Raises:
        ConfigError: evaluation data.
        MediaError: no clip there.
        OutputError: the folder cannot be written.
    """
    refuse_evaluation_data(clips)
    paths = sorted(path for path in clips.iterdir() if not path.name.startswith("."))
    if not paths:
        raise MediaError(f"{clips} holds no clips.")
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    left_out = _read(out / LEFT_OUT)
    for path in paths:
        if path.stem in left_out or (out / "Annotations" / path.stem).is_dir():
            continue
        try:
            with open_source(path) as whole:
                clip = Beginning(whole)
            maps = label(clip, network, salient)
        except (MediaError, MaskError) as error:  # one clip of many
            left_out[path.stem] = str(error)
            write_json(out / LEFT_OUT, left_out)
            say(f"{path.stem}: left out, {error}")
            continue
        _write(out, path.stem, clip, maps)
        say(f"{path.stem}: {len(maps)} of {len(clip)} frames")
    return sum(1 for _ in (out / "Annotations").glob("*/"))


def label(clip: FrameSource, network: AGSSVOS, salient: FindSalient) -> dict[int, LabelMap]:
    """The masks of a clip that can be believed, by frame number, ascending.

    Args:
        clip: whose objects are all looked for in one frame.
        network: that tracks, in eval mode.
        salient: finds what stands out.

    Raises:
        MaskError: nothing stands out, or too little of it can be believed.
        MediaError: a frame cannot be read.
    """
    numbers = sorted({int(len(clip) * place) for place in LOOKS})
    found = {number: regions for number in numbers if (regions := _regions(clip.read(number), salient)) is not None}
    if not found:
        raise MaskError("nothing stands out")
    clearest = max(found, key=lambda number: found[number].clarity)
    maps = there_and_back(clip, clearest, found[clearest].label_map, network)
    if len(maps) < FEWEST:
        raise MaskError(f"only {len(maps)} frames in which both ways agree, {FEWEST} are needed")
    return maps


def _regions(picture: Image, salient: FindSalient) -> SalientObjects | None:
    return stand_out(picture, salient(picture))


def _read(record: Path) -> dict[str, str]:
    """Why clips were left out, by name."""
    try:
        return dict(read_json(record)) if record.is_file() else {}
    except (ValueError, TypeError) as error:
        raise OutputError(
            f"{record} is damaged ({error}); remove it, and the clips it named are tried again"
        ) from error


def _write(out: Path, name: str, clip: FrameSource, maps: Mapping[int, LabelMap]) -> None:
    """Pictures first: a clip counts as done from its masks on."""

    def pictures(folder: Path) -> None:
        for number in maps:
            (folder / f"{by_number(number)}.jpg").write_bytes(encode_picture(clip.read(number)))

    def masks(folder: Path) -> None:
        for number, label_map in maps.items():
            write_label_map(folder / f"{by_number(number)}.png", label_map)

    for kind, fill in (("JPEGImages", pictures), ("Annotations", masks)):
        place = out / kind / name
        with explained(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():  # of a run that was killed between both
                shutil.rmtree(place)
            with unfinished(place, folder=True) as part:
                fill(part)
                part.rename(place)
