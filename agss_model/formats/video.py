"""Formats of a whole clip: CVAT's XML for videos, and a video of the objects alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame

from agss_model.cvat import CvatXmlWriter, Task
from agss_model.errors import ConfigError, OutputError
from agss_model.formats.tracked import Tracked


def write_cvat_video(tracked: Tracked, out: Path) -> None:
    """`annotations.xml` of "CVAT for video 1.1": masks, grouped by object; what a person drew is `manual`."""
    width, height = tracked.size
    task = Task(None, tracked.name, width, height, tracked.frames.stop)
    labels = {object_id: tracked.label(object_id) for object_id in tracked.ids}
    out.mkdir(parents=True, exist_ok=True)
    with CvatXmlWriter(out / "annotations.xml", task, labels) as writer:
        for number, masks in tracked.masks():
            for object_id, mask in masks.items():
                row = tracked.rows.get((number, object_id))
                writer.put(number, object_id, mask, human=row is not None and row.human)


def write_alpha_video(tracked: Tracked, out: Path) -> None:
    """`NAME.mov`: the objects on a transparent ground, exact (PNG in QuickTime, which editing programs read).

    Raises:
        ConfigError: the clip is not at hand.
        OutputError: the file cannot be written.
    """
    if tracked.source is None:
        raise ConfigError("a video of the objects needs the pictures; say where the clip is with --source")
    rate = Fraction(tracked.source.fps).limit_denominator(1001)
    path = out / f"{tracked.name}.mov"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with av.open(str(path.resolve()), "w", format="mov") as container:
            stream = container.add_stream("png", rate=rate)
            stream.width, stream.height, stream.pix_fmt = *tracked.size, "rgba"
            images = tracked.source.frames(tracked.frames.start, tracked.frames.stop)
            for place, (number, image) in enumerate(zip(tracked.frames, images, strict=True)):
                inside = tracked.read(number) > 0
                rgba = np.dstack([image * inside[..., None], inside.astype(np.uint8) * 255])
                frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
                frame.pts, frame.time_base = place, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; is the disk full?") from error
