"""Which frame is which in a video file.

Frame k is the k-th frame that the decoder puts out, which is presentation order and what CVAT calls frame k. Where
the container gives every packet its own presentation time, one pass over the packets (without decoding) is enough;
otherwise the file is decoded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agss_model.errors import MediaError
from agss_model.pictures import check_scans, jpeg_scans

# Codecs in which each packet is one shown frame. VP8, for one, has packets that are never shown.
_FRAME_PER_PACKET = frozenset({"h264", "hevc", "mpeg4", "vp9", "av1", "mjpeg", "png", "prores", "dnxhd", "ffv1"})
# MPEG-4 marks a skipped frame by a packet of at most this size, from which the decoder shows nothing.
_MPEG4_SKIPPED_BYTES = 19
# Seconds by which the last frame may end before the announced end: rounding, and streams of unequal length.
_DURATION_SLACK = 0.5
_MOST_FRAMES = 5_000_000  # two days at 25 a second
_KINDS = {"audio": "sound", "video": "a cover"}
_JPEG, _ZIP, _LOOKED_AT = b"\xff\xd8", b"PK", 1 << 26
# The frame count in an AVI header is often off by a little.
_AVI_SHARE = 0.98


@dataclass(frozen=True)
class VideoIndex:
    """The frames of one video stream, in presentation order.

    Attributes:
        times: presentation time of each frame, in the stream's time base; None where the file gives none.
        anchors: ascending numbers of the frames at which decoding can start.
        fault: what is wrong with the file, or None.
        announced: frames there should be, where that is known and more than there are; else None.
        missing: numbers of frames that cannot be decoded, as they are counted in the whole video; where known.
        numbers: frame number by time; empty when times do not tell frames apart, so that seeking is impossible.
    """

    times: list[int | None]
    anchors: list[int]
    fault: str | None
    announced: int | None = None
    missing: tuple[int, ...] = ()
    numbers: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        numbers = {time: number for number, time in enumerate(self.times) if time is not None}
        object.__setattr__(self, "numbers", numbers if len(numbers) == len(self.times) else {})


@dataclass
class _Packets:
    """What one pass over the packets shows."""

    times: list[int | None] = field(default_factory=list)
    keys: list[int | None] = field(default_factory=list)
    count: int = 0
    smallest: int = 1 << 62
    end: float = 0.0
    fault: str | None = None
    announced: int | None = None


def open_stream(path: Path, *, whole: bool = True) -> tuple[InputContainer, VideoStream]:
    """Open a video file and its main video stream.

    Args:
        path: the file.
        whole: whether the file is believed free of damage. Decoding several frames at once is faster, but near damage
            it also loses frames that are intact.

    Raises:
        MediaError: not readable, not a video, or only sound and its cover.
    """
    try:
        _check_start(path)
        # An absolute path: FFmpeg would take a colon in a relative one for a protocol.
        container = av.open(str(path.resolve()))
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(
            f"{path} cannot be opened as a video ({error.strerror}); it may be no video, or cut off before its index"
        ) from error
    videos = videos_of(container)
    streams = [stream for stream in videos if stream.codec_context is not None]
    if not streams:
        held = sorted({_KINDS.get(stream.type, stream.type) for stream in container.streams if stream not in videos})
        container.close()
        if videos:
            raise MediaError(f"{path} has a video stream that cannot be decoded here; convert it to H.264 in MP4")
        if held:
            raise MediaError(f"{path} has no video, only {' and '.join(held)}; give the file with the pictures")
        raise MediaError(f"{path} holds neither video nor sound; it is empty or cut off, so copy or export it again")
    stream = next((each for each in streams if each.frames != 1), streams[0])  # an AVIF begins with its first picture
    stream.thread_type = "AUTO" if whole else "SLICE"
    return container, stream


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The videos in a file; a picture of the cover is none."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _check_start(path: Path) -> None:
    """Refuse an archive, and a stream without container whose first picture would take long: opening decodes it."""
    with path.open("rb") as file:
        start = file.read(2)
        if start == _ZIP:
            raise MediaError(f"{path} is a ZIP archive; unpack it, and give the video or the folder of images in it")
        if start == _JPEG:
            check_scans(jpeg_scans(start + file.read(_LOOKED_AT)), f"the first frame of {path}")


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from the current position to the end, passing over what cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, OSError):
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame):
                yield frame


def index_video(path: Path) -> VideoIndex:
    """Build the index of a video file.

    Raises:
        MediaError: the file cannot be opened.
    """
    container, stream = open_stream(path)
    with container:
        packets = _scan(container, stream)
        if _exact_without_decoding(packets, container, stream):
            times = sorted(time for time in packets.times if time is not None)
            number = {time: k for k, time in enumerate(times)}
            anchors = sorted(number[time] for time in packets.keys if time is not None)
            return VideoIndex(list(times), anchors, None)
    container, stream = open_stream(path, whole=packets.fault is None)
    times_shown: list[int | None] = []
    anchors = []
    with container:
        for frame in decoded(container, stream):
            if frame.key_frame:
                anchors.append(len(times_shown))
            times_shown.append(frame.pts)
    if packets.fault is None:
        return VideoIndex(times_shown, anchors, None)
    return VideoIndex(times_shown, anchors, packets.fault, packets.announced, _missing(packets, times_shown))


def _missing(packets: _Packets, shown: list[int | None]) -> tuple[int, ...]:
    """Frames that have a packet but no picture, and those after the last packet."""
    stored = sorted(time for time in packets.times if time is not None)
    if len(stored) != len(packets.times) or len(set(stored)) != len(stored) or None in shown:
        return ()
    seen = set(shown)
    lost = [number for number, time in enumerate(stored) if time not in seen]
    return tuple([*lost, *range(len(stored), packets.announced or 0)])


def _scan(container: InputContainer, stream: VideoStream) -> _Packets:
    packets = _Packets()
    source = container.demux()
    while True:
        try:
            packet = next(source, None)
        except (av.error.FFmpegError, OSError) as error:
            packets.fault = f"reading stops with: {error.strerror}"
            break
        if packet is None:
            break
        shown = max((time for time in (packet.pts, packet.dts) if time is not None), default=None)
        if shown is not None and packet.time_base:
            packets.end = max(packets.end, float((shown + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index == stream.index and packet.size:
            if stream.codec_context.name == "mjpeg":
                check_scans(jpeg_scans(bytes(packet)), f"frame {packets.count} of {container.name}")
            _note(packets, packet)
        elif packet.stream.index == stream.index and packet.dts is not None:
            packets.count += 1  # AVI stores a repeated frame as an empty packet.
    packets.fault = _missing_end(packets, container, stream) or packets.fault
    return packets


def _missing_end(packets: _Packets, container: InputContainer, stream: VideoStream) -> str | None:
    """Compare what was found with what the header announces, where the header is known to be reliable."""
    if "mp4" in container.format.name and packets.count < stream.frames:
        # An edit list hides packets too, so count once more without it.
        with av.open(container.name, options={"ignore_editlist": "1"}) as plain:
            stored = sum(packet.size > 0 for packet in plain.demux(plain.streams[stream.index]))
        if stored < stream.frames:
            packets.announced = _believed(stream.frames)
            return "it is cut off"
    if container.format.name == "avi" and packets.count < stream.frames * _AVI_SHARE:
        packets.announced = _believed(stream.frames)
        return "it is cut off"
    announced = (container.duration or 0) / av.time_base
    if container.format.name == "matroska,webm" and packets.end < announced - _DURATION_SLACK:
        return f"it ends after {packets.end:.1f} of {announced:.1f} seconds"
    return None


def _believed(frames: int) -> int | None:
    """What a header announces, unless no video has so many frames: each that is missing is listed."""
    return frames if frames <= _MOST_FRAMES else None


def _note(packets: _Packets, packet: Packet[Any]) -> None:
    packets.count += 1
    packets.smallest = min(packets.smallest, packet.size)
    if packet.is_corrupt:
        packets.fault = "a frame is cut off"
    # Packets that an edit list hides are decoded, since others refer to them, but never shown.
    if packet.is_discard:
        return
    packets.times.append(packet.pts)
    if packet.is_keyframe:
        packets.keys.append(packet.pts)


def _exact_without_decoding(packets: _Packets, container: InputContainer, stream: VideoStream) -> bool:
    codec = stream.codec_context.name
    times = [time for time in packets.times if time is not None]
    return (
        packets.fault is None
        and codec in _FRAME_PER_PACKET
        and not (codec == "mpeg4" and packets.smallest <= _MPEG4_SKIPPED_BYTES)
        # AVI stores no presentation times; those reported for it can be in decoding order.
        and container.format.name != "avi"
        and len(set(times)) == len(packets.times) > 0
        # A clip cut in the middle of a group begins with packets that cannot be decoded.
        and packets.keys[:1] == [min(times)]
    )
