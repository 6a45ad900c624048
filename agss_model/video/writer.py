"""Writing videos."""

from __future__ import annotations

import contextlib
import math
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from agss_model.errors import MediaError, OutputError
from agss_model.files import unfinished
from agss_model.video.source import Image, check_same_size, check_side

_BT709 = 1
_MPEG4_CLOCK = 65_535  # MPEG-4 Part 2 keeps the clock in 16 bits
_FINEST = 90_000
"""Ticks of a second in videos of a variable frame rate: 24, 25, 30 and 60 Hz and milliseconds are whole numbers."""


class VideoWriter:
    """Writes an MP4 that browsers play: H.264, yuv420p, index in front (MPEG-4 Part 2 where libx264 is missing).

    An odd width or height is padded to even by repeating the last column or row. The file appears complete or not
    at all: it is written beside and renamed when the `with` block ends well, and removed when it ends with an error.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        size: tuple[int, int],
        *,
        aspect: Fraction = Fraction(1),
        steady: bool = True,
    ) -> None:
        """Open the file.

        Args:
            path: the video to make; its folder must exist.
            fps: frames per second, above 0 and up to 1000.
            size: (width, height) of the frames to come.
            aspect: width of a pixel as it is to be shown, divided by its height.
            steady: frames follow one another at `fps`; otherwise each comes with its time.

        Raises:
            MediaError: `fps` or `size` is out of range.
            OutputError: the file cannot be written.
        """
        if not 0 < fps <= 1000:
            raise MediaError(f"{fps} frames per second cannot be written; use a value above 0 and up to 1000")
        if min(size) < 1:
            raise MediaError(f"a video of {size[0]}x{size[1]} pixels cannot be written")
        check_side(size, "the video to write")
        self.path = Path(path)
        self.size = size
        self._ending = contextlib.ExitStack()
        try:
            # PyAV opens the file only with the first frame, which is late for an error.
            self._part = self._ending.enter_context(unfinished(self.path))
            self._container = av.open(str(self._part.absolute()), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; choose a writable folder") from error
        self._stream = self._add_stream(fps, aspect)
        self._tick = 1 / Fraction(self._stream.codec_context.framerate)
        if not steady:
            self._tick = Fraction(1, _FINEST if self._stream.codec_context.name == "libx264" else _MPEG4_CLOCK)
            self._stream.codec_context.time_base = self._tick
        self._count, self._last = 0, -1

    def _add_stream(self, fps: float, aspect: Fraction) -> VideoStream:
        rate = Fraction(fps).limit_denominator(max(1, min(1001, _MPEG4_CLOCK // math.ceil(fps))))
        width, height = (side + side % 2 for side in self.size)
        if "libx264" in av.codecs_available:
            stream = self._container.add_stream("libx264", rate=rate)
            stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            stream = self._container.add_stream("mpeg4", rate=rate)
            stream.bit_rate = int(width * height * fps * 0.2) + 100_000
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        return stream

    def write(self, image: Image, time: Fraction | None = None) -> None:
        """Append one frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: seconds from the first frame, above the time of the one before; None to follow it at the frame rate.

        Raises:
            MediaError: not such an image, or not of the size given at the start.
            OutputError: the file cannot be written.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise MediaError(f"a frame must be (height, width, 3) uint8, not {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        check_same_size((width, height), self.size, f"frame {self._count} for {self.path.name}")
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        self._last = self._last + 1 if time is None else max(self._last + 1, round(time / self._tick))
        frame.pts, frame.time_base = self._last, self._tick
        self._encode(frame)
        self._count += 1

    def close(self) -> None:
        """Finish the file and put it in place.

        Raises:
            MediaError: no frame was written.
            OutputError: the file cannot be written.
        """
        if self._count == 0:
            self.discard()
            raise MediaError(f"no frame was written to {self.path}; a video needs at least one")
        try:
            self._encode(None)
            self._container.close()
            self._part.replace(self.path)
            self._ending.close()
        except (av.error.FFmpegError, OSError) as error:
            self.discard()
            raise OutputError(f"cannot write {self.path}: {error.strerror}; is the disk full?") from error

    def discard(self) -> None:
        """Give up: remove what was written and leave an earlier file at `path` as it was."""
        # An unfinished file may not close cleanly, and it is removed anyway.
        with contextlib.suppress(av.error.FFmpegError, OSError):
            self._container.close()
        self._ending.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; is the disk full?") from error
