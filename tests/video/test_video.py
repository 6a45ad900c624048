from __future__ import annotations

import gc
import struct
import subprocess
import sys
import threading
import weakref
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from agss_model.errors import MediaError, OutputError
from agss_model.ranges import spans
from agss_model.video import FrameSource, VideoWriter, images, open_source, prefetch, videofile

WIDTH, HEIGHT, COUNT = 64, 48, 60


def pattern(number, width=WIDTH, height=HEIGHT):
    """A frame that carries its number as eight bright or dark columns."""
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(8):
        image[:, bit * width // 8 : (bit + 1) * width // 8] = 255 * ((number >> bit) & 1)
    return image


def number_of(image):
    width = image.shape[1]
    return sum(int(image[image.shape[0] // 2, (2 * bit + 1) * width // 16].mean() > 127) << bit for bit in range(8))


def make_video(path, codec="libx264", count=COUNT, times=None, options=None, rotation=None, size=(WIDTH, HEIGHT)):
    """Frames 0 to count - 1; `times` are presentation times in milliseconds."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no encoder {codec}")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = options or {}
        stream.codec_context.gop_size = 12
        if codec == "mpeg4":
            stream.codec_context.max_b_frames = 2
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(pattern(number, *size), format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 25) if times is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shifted(source, target, ticks):
    """Copies the packets with earlier times; what falls before 0 is hidden by an edit list."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, stream
                made.mux(packet)
    return target


VARIABLE = (1000 + np.cumsum(np.random.default_rng(0).integers(5, 90, COUNT))).tolist()
CLIPS = {
    "h264.mp4": {},
    "h264_open_gop.mp4": {"options": {"x264-params": "open-gop=1:bframes=3:b-adapt=0"}},
    "h264_refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=12"}},
    "h264.avi": {},
    "h264.ts": {},
    "h264.h264": {},
    "variable.mp4": {"times": VARIABLE},
    "variable.mkv": {"times": VARIABLE},
    "mpeg4.mp4": {"codec": "mpeg4"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "hevc_open_gop.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:open-gop=1:keyint=12"}},
    "vp8.webm": {"codec": "libvpx"},
    "mjpeg.avi": {"codec": "mjpeg"},
}


@pytest.fixture(scope="module", params=CLIPS)
def clip(request, tmp_path_factory):
    how = dict(CLIPS[request.param])
    if how.get("codec") == "mjpeg":
        path = tmp_path_factory.mktemp("clips") / request.param
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
        for number in range(COUNT):
            writer.write(pattern(number))
        writer.release()
        return path
    return make_video(tmp_path_factory.mktemp("clips") / request.param, **how)


@pytest.fixture(scope="module")
def h264(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("h264") / "clip.mp4")


def decode_all(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# Exact frame numbers


def test_every_way_of_reading_gives_exactly_the_frames_in_decoding_order(clip):
    expected = decode_all(clip)
    order = np.random.default_rng(1).permutation(COUNT)
    with open_source(clip) as source:
        assert len(source) == len(expected) == COUNT
        for number, image in enumerate(source.frames()):
            assert number_of(image) == number
            np.testing.assert_array_equal(image, expected[number])
        for number in order:
            np.testing.assert_array_equal(source.read(number), expected[number])
        for number, image in zip(range(COUNT - 1, -1, -1), source.frames(step=-1), strict=True):
            np.testing.assert_array_equal(image, expected[number])


def test_the_usual_files_are_indexed_without_decoding(h264, monkeypatch):
    monkeypatch.setattr("agss_model.video.index.decoded", lambda *_: pytest.fail("decoded"))
    with open_source(h264) as source:
        assert len(source) == COUNT


def test_frames_hidden_by_an_edit_list_have_no_number(h264, tmp_path):
    with av.open(str(h264)) as container:
        stream = container.streams.video[0]
        ticks = int(17 / 25 / stream.time_base)
    path = shifted(h264, tmp_path / "edited.mp4", ticks)
    with open_source(path) as source:
        assert [number_of(image) for image in source.frames()] == list(range(17, COUNT))
        assert number_of(source.read(30)) == 47


def test_leading_frames_that_refer_to_what_was_cut_away_have_no_number(tmp_path):
    options = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12:scenecut=0"}
    whole, path = make_video(tmp_path / "whole.mp4", options=options), tmp_path / "cut.mkv"
    groups = 0
    with av.open(str(whole)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            groups += packet.is_keyframe
            if packet.dts is not None and groups >= 2:
                packet.stream = stream
                made.mux(packet)
    with av.open(str(path)) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    with open_source(path) as source:
        assert len(source) < packets
        assert [number_of(image) for image in source.frames()] == list(range(12, COUNT))
        assert [number_of(source.read(k)) for k in (30, 0, 13)] == [42, 12, 25]


def test_a_stream_cut_at_its_beginning_starts_with_its_first_decodable_frame(tmp_path):
    whole = make_video(tmp_path / "whole.ts").read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(whole[188 * 20 :])
    expected = [number_of(image) for image in decode_all(path)]
    with open_source(path) as source:
        assert [number_of(image) for image in source.frames()] == expected
        assert [number_of(source.read(k)) for k in (20, 3, 0)] == [expected[k] for k in (20, 3, 0)]
    assert 0 < len(expected) < COUNT


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, COUNT - 1), stop=st.integers(-1, COUNT), step=st.sampled_from([-25, -3, -1, 1, 2, 20]))
def test_ranges_behave_like_python_ranges(h264, start, stop, step):
    with open_source(h264) as source:
        assert [number_of(image) for image in source.frames(start, stop, step)] == list(range(start, stop, step))


def test_going_backward_in_small_windows_gives_the_same_frames(h264, monkeypatch):
    monkeypatch.setattr(videofile, "_BACKWARD_BYTES", 5 * WIDTH * HEIGHT * 3)
    with open_source(h264) as source:
        assert [number_of(image) for image in source.frames(step=-1)] == list(range(COUNT - 1, -1, -1))


@pytest.mark.parametrize("index", [-1, COUNT, 10**6])
def test_a_frame_number_outside_the_clip_gives_the_range(h264, index):
    with open_source(h264) as source:
        with pytest.raises(MediaError, match=f"frame {index} is outside clip, which has frames 0 to 59"):
            source.read(index)
        with pytest.raises(MediaError, match="outside"):
            source.frames(index)
        with pytest.raises(MediaError, match="step"):
            source.frames(0, 5, 0)


def test_rotation_is_applied(tmp_path):
    if not hasattr(av.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write rotation")
    path = make_video(tmp_path / "phone.mp4", rotation=90, count=3)
    with open_source(path) as source:
        assert source.size == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(source.read(2), np.rot90(decode_all(path)[2]))


def test_a_source_states_its_size_rate_and_name(h264):
    with open_source(str(h264)) as source:
        assert isinstance(source, FrameSource)
        assert (source.size, source.fps, source.name) == ((WIDTH, HEIGHT), 25.0, "clip")


# Bad videos


def test_a_closed_video_is_freed_without_the_garbage_collector(h264):
    gc.disable()
    try:
        source = open_source(h264)
        source.read(1)
        source.close()
        gone = weakref.ref(source)
        del source
        assert gone() is None
    finally:
        gc.enable()


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        open_source(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError, match="cannot be opened as a video"):
        open_source(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match="cannot be opened as a video"):
        open_source(tmp_path / "empty.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(MediaError, match="has no video"):
        open_source(tmp_path / "sound.wav")


def test_a_video_without_frames_is_refused(tmp_path):
    path = make_video(tmp_path / "clip.ts")
    with av.open(str(path)) as given, av.open(str(tmp_path / "none.avi"), "w") as made:
        made.add_stream_from_template(given.streams.video[0])
        made.start_encoding()
    with pytest.raises(MediaError, match="no frame that can be decoded"):
        open_source(tmp_path / "none.avi")


def test_a_truncated_video_is_refused_with_what_can_be_read(tmp_path):
    with VideoWriter(tmp_path / "whole.mp4", 25, (WIDTH, HEIGHT)) as writer:
        for number in range(COUNT):
            writer.write(pattern(number))
    whole = (tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(MediaError, match=r"of 60 frames are missing; \d+ frames \(0 to \d+\) can be decoded") as caught:
        open_source(path)
    with open_source(path, partial=True) as source:
        assert f"; {len(source)} frames" in str(caught.value)
        assert 0 < len(source) < COUNT
        shown = [number_of(image) for image in source.frames()]
    assert shown == sorted(set(shown))  # the last one may have been stored before one that is cut off
    assert shown[:-1] == list(range(len(shown) - 1))
    assert f"missing are {spans(sorted({*range(COUNT)} - {*shown}))}" in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "reason"), [("mkv", r"ends after .* of 2\.4 seconds"), ("avi", r"\d+ of 60 frames are missing")]
)
def test_truncation_shows_by_what_the_header_announces(tmp_path, suffix, reason):
    whole = make_video(tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: len(whole) * 4 // 5])
    with pytest.raises(MediaError, match=reason):
        open_source(path)


def test_a_video_that_announces_two_billion_frames_is_refused_without_room_for_them(h264, tmp_path):
    data = bytearray(h264.read_bytes())
    place = data.index(b"stts") + 8
    data[place : place + 8] = struct.pack(">II", 1, 2**31 - 1)
    (tmp_path / "lie.mp4").write_bytes(data)
    with pytest.raises(MediaError, match=f"it is cut off; {COUNT} frames"):
        open_source(tmp_path / "lie.mp4")
    with open_source(tmp_path / "lie.mp4", partial=True) as source:
        assert len(source) == COUNT


def test_a_video_cut_before_its_index_is_refused(h264, tmp_path):
    whole = h264.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="cut off before its index"):
        open_source(tmp_path / "cut.mp4")


def test_a_frame_damaged_inside_the_file_is_named_and_the_others_are_read(h264, tmp_path):
    data = bytearray(h264.read_bytes())
    with av.open(str(h264)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = sorted(packet.pts for packet in packets if packet.is_keyframe)
    times = sorted(packet.pts for packet in packets)
    bad = next(packet for packet in packets if packet.pts == keys[1])
    first, after = times.index(keys[1]), times.index(keys[2])
    data[bad.pos : bad.pos + bad.size] = bytes(bad.size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bytes(data))
    with open_source(path) as source:
        with pytest.raises(MediaError, match=f"frame {first} of .* cannot be decoded"):
            source.read(first)
        assert [number_of(source.read(k)) for k in (first - 1, after, 0)] == [first - 1, after, 0]


def test_a_video_that_changes_size_names_frame_and_sizes(tmp_path):
    first = make_video(tmp_path / "a.h264", count=5).read_bytes()
    second = make_video(tmp_path / "b.h264", count=5, size=(32, 32)).read_bytes()
    (tmp_path / "both.h264").write_bytes(first + second)
    expected = "frame 5 of both is 32x32 pixels, but the first frame is 64x48"
    with open_source(tmp_path / "both.h264") as source, pytest.raises(MediaError, match=expected):
        list(source.frames())


# Images


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 9, 1, 2):
        cv2.imwrite(str(tmp_path / f"frame_{number}.png"), pattern(number))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._frame_1.png").touch()
    with open_source(tmp_path) as source:
        assert isinstance(source, FrameSource)
        assert [number_of(image) for image in source.frames()] == [1, 2, 9, 10]
        assert [number_of(image) for image in source.frames(2, None, -2)] == [9, 1]
        assert (len(source), source.size, source.name) == (4, (WIDTH, HEIGHT), tmp_path.name)
        with pytest.raises(MediaError, match="frame 4 is outside"):
            source.read(4)


def test_images_of_every_kind_become_rgb(tmp_path):
    def read(name, array):
        cv2.imwrite(str(tmp_path / name), array)
        with open_source(tmp_path / name) as source:
            return source.read(0)

    grey = np.array([[0, 77, 255]], np.uint8)
    np.testing.assert_array_equal(read("grey.png", grey), np.repeat(grey[:, :, None], 3, axis=2))
    bgra = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], np.uint8)
    np.testing.assert_array_equal(read("alpha.png", bgra), [[[30, 20, 10], [60, 50, 40]]])
    deep = np.array([[[0, 257, 65535], [300, 128, 129]]], np.uint16)
    np.testing.assert_array_equal(read("deep.png", deep), [[[255, 1, 0], [1, 0, 1]]])
    assert read("one.png", np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[3, 2, 1]]]
    assert read("8k.png", np.zeros((4320, 7680), np.uint8)).shape == (4320, 7680, 3)


def test_palette_images_and_exif_orientation(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    indexed = pillow.fromarray(np.array([[1, 0, 1]], np.uint8))
    indexed.putpalette(bytes([10, 20, 30, 40, 50, 60]))
    indexed.save(tmp_path / "indexed.png")
    with open_source(tmp_path / "indexed.png") as source:
        assert source.read(0).tolist() == [[[40, 50, 60], [10, 20, 30], [40, 50, 60]]]
    exif = pillow.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    pillow.fromarray(pattern(3)).save(tmp_path / "turned.jpg", exif=exif)
    with open_source(tmp_path / "turned.jpg") as source:
        assert source.size == (HEIGHT, WIDTH)
        assert source.read(0)[2].min() > 200
        assert source.read(0)[-2].max() < 50


def test_unusable_folders_and_images_are_refused(tmp_path):
    with pytest.raises(MediaError, match="holds no images"):
        open_source(tmp_path)
    cv2.imwrite(str(tmp_path / "1.png"), pattern(1))
    cv2.imwrite(str(tmp_path / "2.png"), pattern(2)[:-3])
    with open_source(tmp_path) as source, pytest.raises(MediaError, match=r"frame 1 \(2.png\) is 64x45.*is 64x48"):
        source.read(1)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:20])
    with open_source(tmp_path) as source, pytest.raises(MediaError, match="not an image or is damaged"):
        source.read(1)
    cv2.imwrite(str(tmp_path / "1.jpg"), pattern(1))
    with pytest.raises(MediaError, match="two images for one frame"):
        open_source(tmp_path)
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((1, 16385), np.uint8))
    with pytest.raises(MediaError, match="16385x1"):
        open_source(tmp_path / "wide.png")


def png_that_claims(width, height):
    """The start of a PNG of that size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">II", zlib.crc32(chunk), 100) + b"IDAT"


@pytest.mark.parametrize("size", [(30_000, 30_000), (16_385, 2), (16_000, 16_000)])
def test_an_image_that_claims_too_many_pixels_is_refused_before_there_is_room_for_them(tmp_path, monkeypatch, size):
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    (tmp_path / "0.png").write_bytes(png_that_claims(*size) + b"\0" * 100)
    with pytest.raises(MediaError, match=r"too large|at most 16384"):
        open_source(tmp_path / "0.png")


def test_what_is_called_an_image_is_read_as_nothing_else(tmp_path, monkeypatch):
    """OpenCV knows many more formats than the suffixes promise."""
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    (tmp_path / "0.png").write_bytes(b"P6 2 1 255\n" + bytes(6))
    with pytest.raises(MediaError, match="not an image"):
        open_source(tmp_path / "0.png")


# Writing


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (1, 1)])
def test_a_written_video_has_the_frames_at_even_size(tmp_path, size):
    width, height = size
    colour = np.array([200, 60, 30], np.uint8)
    with VideoWriter(tmp_path / "out.mp4", 29.97, size) as writer:
        for number in range(5):
            writer.write(np.broadcast_to(colour - 5 * number, (height, width, 3)))
    with open_source(tmp_path / "out.mp4") as source:
        assert source.size == (width + width % 2, height + height % 2)
        assert (len(source), round(source.fps, 2)) == (5, 29.97)
        assert np.abs(source.read(4).astype(int) - (colour - 20)).max() <= 6
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_without_libx264_the_video_is_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", frozenset({"mpeg4"}))
    with VideoWriter(tmp_path / "out.mp4", 25, (WIDTH, HEIGHT)) as writer:
        for number in range(9):
            writer.write(pattern(number))
    with open_source(tmp_path / "out.mp4") as source:
        assert [number_of(image) for image in source.frames()] == list(range(9))


def test_an_error_leaves_an_earlier_video_intact(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"earlier")
    with pytest.raises(MediaError, match=r"frame 1 for out.mp4"), VideoWriter(path, 25, (WIDTH, HEIGHT)) as writer:
        list(map(writer.write, (pattern(0), pattern(1, width=WIDTH // 2))))
    with pytest.raises(MediaError, match="no frame was written"), VideoWriter(path, 25, (WIDTH, HEIGHT)):
        pass
    assert path.read_bytes() == b"earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_unusable_output_is_refused(tmp_path):
    with pytest.raises(OutputError, match="writable folder"):
        VideoWriter(tmp_path / "missing" / "out.mp4", 25, (2, 2))
    with pytest.raises(MediaError, match="frames per second"):
        VideoWriter(tmp_path / "out.mp4", 0, (2, 2))
    with pytest.raises(MediaError, match="16385"):
        VideoWriter(tmp_path / "out.mp4", 25, (16385, 2))
    with pytest.raises(MediaError, match="2x4 pixels"), VideoWriter(tmp_path / "out.mp4", 25, (2, 2)) as writer:
        writer.write(np.zeros((4, 2, 3), np.uint8))
    with pytest.raises(MediaError, match="uint8"), VideoWriter(tmp_path / "out.mp4", 25, (2, 2)) as writer:
        writer.write(np.zeros((2, 2, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


# Reading ahead


@given(st.lists(st.integers()), st.integers(1, 6))
def test_prefetch_keeps_items_and_order(items, depth):
    assert list(prefetch(items, depth)) == items


def test_prefetch_raises_errors_in_their_place():
    def broken():
        yield 1
        yield 2
        raise MediaError("frame 2 is damaged")

    ahead = prefetch(broken())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(MediaError, match="frame 2 is damaged"):
        next(ahead)
    with pytest.raises(ValueError, match="depth"):
        prefetch([], depth=0)


def test_prefetch_reads_a_bounded_distance_ahead_in_another_thread():
    threads, filled = [], threading.Event()

    def source():
        for number in range(100):
            threads.append(threading.current_thread())
            if number == 4:
                filled.set()
            yield number

    ahead = prefetch(source(), depth=3)
    assert next(ahead) == 0
    assert filled.wait(5)
    # One item is out, three wait, and one is held by the thread that waits for room.
    assert len(threads) == 5
    assert threads[0] is not threading.current_thread()
    ahead.close()
    assert not threads[0].is_alive()


def test_closing_prefetch_closes_the_source_and_ends_its_thread():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield threading.current_thread()
        finally:
            closed.set()

    ahead = prefetch(endless(), depth=2)
    worker = next(ahead)
    ahead.close()
    assert closed.is_set()
    assert not worker.is_alive()


CLOSING = """
import sys, time
from pathlib import Path
from agss_model.video import open_source, prefetch
for number in range(30):
    source = open_source(Path(sys.argv[1]))
    ahead = prefetch(source.frames())
    next(ahead)
    time.sleep(number / 3000)
    source.close()
"""


@pytest.mark.parametrize("kind", ["clip.mp4", "clip.webp"])
def test_a_clip_that_a_thread_reads_ahead_can_be_closed(tmp_path, kind):
    """As after Ctrl-C or an error in the middle of a run; a decoder that loses its file ends the process."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (180, 320, 3), dtype=np.uint8) for _ in range(12)]
    if kind == "clip.webp":
        first, *rest = map(Image.fromarray, pictures)
        first.save(tmp_path / kind, save_all=True, append_images=rest, duration=40, method=0)
    else:
        with VideoWriter(tmp_path / kind, 25, (320, 180)) as writer:
            for picture in pictures:
                writer.write(picture)
    words = [sys.executable, "-X", "faulthandler", "-c", CLOSING, str(tmp_path / kind)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["mp4", "webp"])
def test_closing_waits_for_the_frame_that_is_being_read_and_no_other_is(h264, tmp_path, monkeypatch, kind):
    path, pictures = h264, [Image.new("RGB", (32, 32), (number, 0, 0)) for number in range(9)]
    if kind == "webp":
        path = tmp_path / "clip.webp"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True, duration=40)
    source = open_source(path)
    reading, go_on, events = threading.Event(), threading.Event(), []
    read = type(source)._read

    def slowly(self, number):
        reading.set()
        go_on.wait(60)
        image = read(self, number)
        events.append("read")
        return image

    monkeypatch.setattr(type(source), "_read", slowly)
    ahead = prefetch(source.frames())
    taking = threading.Thread(target=lambda: events.append(next(ahead).shape))
    taking.start()
    assert reading.wait(60)
    closing = threading.Thread(target=lambda: (source.close(), events.append("closed")))
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    go_on.set()
    closing.join(60)
    taking.join(60)
    assert events.index("read") < events.index("closed")
    with pytest.raises(MediaError, match="closed"):
        list(ahead)
    source.close()
