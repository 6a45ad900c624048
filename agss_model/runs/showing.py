"""A run's masks drawn over its clip, as a video or as one image per frame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal

from agss_model.masks.files import read_label_map
from agss_model.masks.overlay import draw_overlay
from agss_model.runs.folder import RunFolder
from agss_model.runs.reporting import Report
from agss_model.runs.scores import Row
from agss_model.video.images import encode_picture
from agss_model.video.source import Image, IndexedFrames, prefetch
from agss_model.video.writer import VideoWriter

Overlay = Literal["none", "video", "frames"]
Put = Callable[[int, Image], None]
_QUALITY = 92  # of JPEG: for people to look at


def lacking(folder: RunFolder, frames: range, kind: Overlay) -> bool:
    """Whether a finished run has not what is asked for."""
    here = folder.here
    if kind == "frames":
        return not all(here.shown(number).exists() for number in frames)
    return kind == "video" and not here.overlay.exists()


def show(
    source: IndexedFrames, frames: range, folder: RunFolder, rows: tuple[Row, ...], kind: Overlay, report: Report
) -> None:
    """Draw the masks on the disk over their frames: the same whether the run was interrupted or not.

    Args:
        source: the clip.
        frames: those with masks.
        folder: of the run, where the overlay goes.
        rows: the scores.
        kind: what to make.
        report: where the run speaks.

    Raises:
        OutputError: it cannot be written.
        MediaError: a frame cannot be decoded.
    """
    if kind == "none":
        return
    by_frame: dict[int, list[Row]] = {}
    for row in rows:
        by_frame.setdefault(row.frame, []).append(row)
    making = _video(source, frames, folder) if kind == "video" else _images(folder)
    ahead = contextlib.closing(prefetch(source.frames(frames.start, frames.stop)))
    with ahead as images, making as put, report.progress("drawing the overlay", len(frames)) as progress:
        for number, image in zip(frames, images, strict=True):
            here = by_frame.get(number, [])
            scores = {row.object_id: row.score for row in here if not row.human}
            lost = [row.object_id for row in here if row.lost]
            put(number, draw_overlay(image, read_label_map(folder.mask(number)), scores, lost))
            progress.advance()


@contextlib.contextmanager
def _video(source: IndexedFrames, frames: range, folder: RunFolder) -> Iterator[Put]:
    """Frames are shown as long, and pixels as wide, as in the clip."""
    rate, begin = min(source.fps, 1000.0), source.time(frames.start)
    with (
        folder.overlay() as place,
        VideoWriter(place, rate, source.size, aspect=source.aspect, steady=source.steady) as video,
    ):
        yield lambda number, image: video.write(image, None if source.steady else source.time(number) - begin)


@contextlib.contextmanager
def _images(folder: RunFolder) -> Iterator[Put]:
    def put(number: int, image: Image) -> None:
        folder.keep_shown(number, encode_picture(image, quality=_QUALITY))

    yield put
