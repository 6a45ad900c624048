"""Video files as frame sources."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.video.frame import VideoFrame

from agss_model.errors import MediaError
from agss_model.ranges import spans
from agss_model.video.index import decoded, index_video, open_stream, videos_of
from agss_model.video.source import FileFrames, Image, check_same_size, check_side

# Decoding this many frames for nothing costs less than a seek, which empties the decoder.
_NEAR = 16
_PICTURES, _BRANDS = ("image2", "ico", "fits"), ("avif", "heic", "heix", "mif1")
_BACKWARD_BYTES = 256 * 2**20


class DamagedError(MediaError):
    """A video of which a part can be decoded, see `partial`."""


class VideoFile(FileFrames):
    """A video file; reading in order decodes each frame once, and any other frame is found by seeking.

    Frame k is the k-th frame in presentation order, counted as CVAT counts, also with B-frames, variable frame rate,
    a start time other than 0 and edit lists. Rotation and mirroring that phones write are applied; the pixel aspect
    ratio (`aspect`) is not. Going backwards holds at most 256 MiB of frames (at least one frame).
    """

    def __init__(self, path: Path, *, partial: bool = False) -> None:
        """Index the file (see `index`) and decode its first frame.

        Args:
            path: the file.
            partial: accept a truncated or damaged file, with the frames that can be decoded.

        Raises:
            MediaError: not a video, no frames, or truncated or damaged and `partial` is not set.
        """
        super().__init__()
        self.path = path
        self.name = path.stem
        self._index = index_video(path)
        count = len(self)
        if count == 0:
            raise MediaError(f"{path} has no frame that can be decoded; export the video again")
        if self._index.fault and not partial:
            raise DamagedError(
                f"{path} is truncated or damaged: {self._damage()}. "
                "Copy or export the video again, or cut it to the part that is whole"
            )
        damage = f"{path.name} is truncated or damaged: {self._damage()}." if self._index.fault else ""
        self._container, self._stream = open_stream(path, whole=self._index.fault is None)
        if count == 1 and _is_picture(self._container):
            self._container.close()
            raise MediaError(
                f"{path} is a single picture, of a kind that is not read as a frame; give a folder of PNG or JPEG "
                "images, a TIFF stack or a video"
            )
        self.notes = tuple(filter(None, (damage, self._choice())))
        self._numbered = self._from_start()
        self._position = 0
        self._held: tuple[int, VideoFrame] | None = None
        self.fps = self._rate()
        first = self._find(0)
        image = _to_rgb(first, str(path))
        aspect = self._stream.sample_aspect_ratio or Fraction(1)  # 0 or None where the file does not say
        self.aspect = 1 / aspect if _turn(first, str(path))[0] else aspect
        self.size = (image.shape[1], image.shape[0])
        check_side(self.size, str(path))

    def _choice(self) -> str:
        """Which of several videos was taken; a still before an animation is none."""
        several = [each for each in videos_of(self._container) if each is self._stream or each.frames != 1]
        if len(several) < 2:
            return ""
        number, (width, height) = several.index(self._stream) + 1, (self._stream.width, self._stream.height)
        return f"{self.path.name} holds {len(several)} videos; number {number}, of {width}x{height} pixels, is taken."

    def _rate(self) -> float:
        """Frames per second as the file says, or by their times where it says something else altogether."""
        said = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        begin, end, base = self._index.times[0], self._index.times[-1], self._stream.time_base
        if begin is None or end is None or end <= begin or not base:
            return said
        real = float((len(self) - 1) / ((end - begin) * base))
        return said if real / 2 < said < real * 2 else real

    def _damage(self) -> str:
        """What is wrong, in numbers that add up."""
        count, index = len(self), self._index
        can = f"{count} frames (0 to {count - 1}) can be decoded"
        if index.announced is not None and index.announced > count:
            can = f"{index.announced - count} of {index.announced} frames are missing; {can}"
        elif index.fault:
            can = f"{index.fault}; {can}"
        if not index.missing:
            return can
        where = f"missing are {spans(index.missing)}"
        later = min(index.missing) < count  # frames are counted as they are decoded, so those behind a gap move up
        return f"{can}; {where}" + (", and frames behind them count from there" if later else "")

    def __len__(self) -> int:
        """Exact number of frames."""
        return len(self._index.times)

    @property
    def steady(self) -> bool:
        """See `IndexedFrames.steady`: to half a frame."""
        begin, base = self._index.times[0], self._stream.time_base
        times = [time for time in self._index.times if time is not None]
        if begin is None or base is None or len(times) != len(self):
            return True
        late = (np.array(times) - begin) * float(base) - np.arange(len(times)) / self.fps
        return bool((np.abs(late) <= 0.5 / self.fps + float(base)).all())

    def time(self, index: int) -> Fraction:
        """See `IndexedFrames.time`."""
        begin, time = self._index.times[0], self._index.times[index]
        if begin is None or time is None or self._stream.time_base is None:
            return super().time(index)
        return (time - begin) * self._stream.time_base

    def _read(self, number: int) -> Image:
        what = f"frame {number} of {self.name}"
        image = _to_rgb(self._find(number), what)
        check_same_size((image.shape[1], image.shape[0]), self.size, what)
        return image

    def _release(self) -> None:
        self._held = None
        self._numbered = iter(())  # it refers back to this object, and both would wait for the garbage collector
        self._container.close()

    def _frames_of(self, numbers: range) -> Iterator[Image]:
        if numbers.step > 0:
            yield from map(self.read, numbers)
            return
        window = max(1, _BACKWARD_BYTES // (self.size[0] * self.size[1] * 3))
        for begin in range(0, len(numbers), window):
            images = [self.read(number) for number in reversed(numbers[begin : begin + window])]
            while images:
                yield images.pop()

    def _find(self, number: int) -> VideoFrame:
        if self._held and self._held[0] == number:
            return self._held[1]
        before = self._index.anchors[: bisect_right(self._index.anchors, number)]
        ahead = self._position <= number and (number - self._position <= _NEAR or before[-1:] <= [self._position])
        frame = self._advance(number) if ahead else None
        # A seek may land behind the anchor asked for, hence the second try from the one before.
        for anchor in reversed(before[-2:] if self._index.numbers else []):
            if frame is None and anchor > 0:
                self._seek(anchor)
                frame = self._advance(number)
        if frame is None:
            self._rewind()
            frame = self._advance(number)
        if frame is None:
            raise MediaError(
                f"frame {number} of {self.path} cannot be decoded, so the file is damaged there; "
                "copy or export the video again, or stop before this frame"
            )
        return frame

    def _advance(self, number: int) -> VideoFrame | None:
        for found, frame in self._numbered:
            self._position = found + 1
            if found == number:
                self._held = (found, frame)
                return frame
            if found > number + _NEAR:  # Near damage frames come out of order, so the first later one proves nothing.
                return None
        self._position = len(self)
        return None

    def _seek(self, anchor: int) -> None:
        time = self._index.times[anchor]
        self._container.seek(time or 0, stream=self._stream, backward=True)
        self._numbered = self._after_seek()
        self._position = anchor

    def _after_seek(self) -> Iterator[tuple[int, VideoFrame]]:
        """Frames by their time, from the first key frame on: those before it refer to frames that were not decoded."""
        started = False
        for frame in decoded(self._container, self._stream):
            started = started or frame.key_frame
            if started and frame.pts in self._index.numbers:
                yield self._index.numbers[frame.pts], frame

    def _rewind(self) -> None:
        self._container.close()
        self._container, self._stream = open_stream(self.path, whole=False)
        self._numbered = self._from_start()
        self._position = 0

    def _from_start(self) -> Iterator[tuple[int, VideoFrame]]:
        for count, frame in enumerate(decoded(self._container, self._stream)):
            if not self._index.numbers:
                yield count, frame
            elif frame.pts in self._index.numbers:
                yield self._index.numbers[frame.pts], frame


def _is_picture(container: InputContainer) -> bool:
    """Whether a file is of a kind that holds pictures, of which FFmpeg may show one only, or a piece of it."""
    name = container.format.name
    return name.endswith("_pipe") or name in _PICTURES or container.metadata.get("major_brand") in _BRANDS


def _to_rgb(frame: VideoFrame, what: str) -> Image:
    image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    exchanged, mirrored, upside_down = _turn(frame, what)
    image = image.transpose(1, 0, 2) if exchanged else image
    return np.ascontiguousarray(image[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def _turn(frame: VideoFrame, what: str) -> tuple[bool, bool, bool]:
    """Whether a frame is shown with its axes exchanged, and then mirrored from left to right, and from top to bottom.

    The file says it by a matrix, for which x becomes a x + c y, and y becomes b x + d y.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5] if isinstance(matrix, Buffer) else (1, 0, 0, 0, 1)
    except ValueError:  # beside it is something that PyAV does not know
        turn = np.exp(1j * np.radians(frame.rotation)).round(3)
        a, b, c, d = turn.real, -turn.imag, turn.imag, turn.real
    if (a or d) and (b or c):
        raise MediaError(
            f"{what} is to be shown rotated by {frame.rotation} degrees, and only quarter turns are supported; "
            "export the video upright"
        )
    return bool(b or c), a + c < 0, b + d < 0  # all 0 is nonsense that some programs write, and players ignore
