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
from agss_model.formats.clip import MaskedClip
from agss_model.formats.names import write_names


def write_cvat_video(clip: MaskedClip, out: Path) -> None:
    """`annotations.xml` of "CVAT for video 1.1", beside the video or `images/` where the clip is at hand.

    Masks keep every pixel and are grouped by object; where they overlap the smallest is uppermost. What a person drew
    is `manual`, the rest `auto`.
    """
    task = Task(None, clip.name, *clip.size, clip.count, source=clip.write_media(out))
    if clip.indexes:
        write_names(out / "objects.json", clip)
    with CvatXmlWriter(out / "annotations.xml", task, clip.labels) as writer:
        for frame in clip.each():
            for layer, (object_id, mask) in enumerate(frame.largest_first()):
                writer.put(frame.number, object_id, mask, human=object_id in frame.human, z_order=layer)


def write_alpha_video(clip: MaskedClip, out: Path) -> None:
    """`NAME.mov`: the objects on a transparent ground, exact (PNG in QuickTime, which editing programs read).

    Frames without masks show nothing.

    Raises:
        ConfigError: the clip is not at hand.
        OutputError: the file cannot be written.
    """
    if clip.source is None:
        raise ConfigError("a video of the objects needs the pictures; say where the clip is with --source")
    rate = Fraction(clip.source.fps).limit_denominator(1001)
    path, span = out / f"{clip.name}.mov", clip.wanted
    try:
        with av.open(str(path.resolve()), "w", format="mov") as container:
            stream = container.add_stream("png", rate=rate)
            stream.width, stream.height, stream.pix_fmt = *clip.size, "rgba"
            maps = iter(clip.label_maps())
            following = next(maps, None)
            for place, image in enumerate(clip.source.frames(span.start, span.stop)):
                inside = np.zeros(image.shape[:2], np.bool_)
                if following is not None and following[0] == span[place]:
                    inside, following = following[1] > 0, next(maps, None)
                rgba = np.dstack([image * inside[..., None], inside.astype(np.uint8) * 255])
                frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
                frame.pts, frame.time_base = place, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; is the disk full?") from error
