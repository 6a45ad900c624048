"""What else a video file may hold or say: mirrored pictures, covers, several videos, an animation behind a still."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image, features

from agss_model.errors import MediaError
from agss_model.video import open_source

WIDTH, HEIGHT, COUNT = 64, 48, 6
TURN, OTHER = 65536, 0x40000000


def picture(number, size=(WIDTH, HEIGHT)):
    image = np.full((size[1], size[0], 3), 30, np.uint8)
    image[4:20, 4 + 4 * number : 16 + 4 * number] = (220, 40, 40)
    return image


def add(container, codec="libx264", rate=25, size=(WIDTH, HEIGHT), pixels="yuv420p", disposition=None):
    stream = container.add_stream(codec, rate=rate)
    stream.width, stream.height, stream.pix_fmt = *size, pixels
    if disposition is not None:
        stream.disposition = disposition
    return stream


def fill(container, stream, times=range(COUNT), base=Fraction(1, 25)):
    for number, time in enumerate(times):
        image = picture(number, (stream.width, stream.height))
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = time, base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "clip.mp4"
    with av.open(str(path), "w") as container:
        fill(container, add(container))
    return path


def with_matrix(plain, target, *four):
    """The video with another matrix in the header of its track, of which a, b, c and d say how it is shown."""
    data = bytearray(plain.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (TURN * number for number in four)
    data[place : place + 36] = np.array([a, b, 0, c, d, 0, 0, 0, OTHER], ">i4").tobytes()
    target.write_bytes(data)
    return target


SHOWN = {
    (1, 0, 0, 1): lambda image: image,
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (-1, 0, 0, -1): lambda image: image[::-1, ::-1],
    (0, -1, 1, 0): np.rot90,
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: image.transpose(1, 0, 2)[::-1, ::-1],
    (0, 0, 0, 0): lambda image: image,
    (2, 0, 0, 1): lambda image: image,
}


@pytest.mark.parametrize("four", SHOWN)
def test_a_video_is_turned_and_mirrored_as_its_header_says(plain, tmp_path, four):
    with open_source(plain) as source:
        upright = SHOWN[four](source.read(2))
    with open_source(with_matrix(plain, tmp_path / "turned.mp4", *four)) as source:
        assert source.size == (upright.shape[1], upright.shape[0])
        assert np.array_equal(source.read(2), upright)


def test_a_slanting_video_is_refused(plain, tmp_path):
    with pytest.raises(MediaError, match=r"45 degrees.* export the video upright"):
        open_source(with_matrix(plain, tmp_path / "slanting.mp4", 0.5, 0.5, -0.5, 0.5))


def cover(container, codec="png"):
    return add(container, codec, size=(16, 16), pixels="rgb24", disposition=Disposition.attached_pic)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mp3", "mp3")])
def test_the_cover_of_a_song_is_no_video(tmp_path, suffix, codec):
    path = tmp_path / f"song.{suffix}"
    with av.open(str(path), "w") as container:
        sound = container.add_stream(codec, rate=44100)
        image = cover(container)
        fill(container, image, range(1))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.float32), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        frame = next(iter(av.AudioResampler(sound.format, sound.layout, 44100, sound.frame_size).resample(frame)))
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(MediaError, match="has no video, only a cover and sound"):
        open_source(path)


def test_the_cover_of_a_video_is_passed_over(tmp_path):
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        image, video = cover(container), add(container)
        fill(container, image, range(1))
        fill(container, video)
    with open_source(tmp_path / "clip.mp4") as source:
        assert (len(source), source.size, source.notes) == (COUNT, (WIDTH, HEIGHT), ())


def test_of_several_videos_the_first_is_taken_with_a_word(tmp_path):
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = [add(container), add(container, size=(128, 96))]
        for stream in streams:
            fill(container, stream)
    with open_source(tmp_path / "two.mkv") as source:
        assert (len(source), source.size) == (COUNT, (WIDTH, HEIGHT))
        assert source.notes == ("two.mkv holds 2 videos; number 1, of 64x48 pixels, is taken.",)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot write AVIF")
def test_an_animated_avif_has_all_its_pictures(tmp_path):
    first, *others = [Image.fromarray(picture(number)) for number in range(COUNT)]
    first.save(tmp_path / "clip.avif", save_all=True, append_images=others, duration=100, quality=100)
    with open_source(tmp_path / "clip.avif") as source:
        assert (len(source), source.size, source.notes) == (COUNT, (WIDTH, HEIGHT), ())
        for number, frame in enumerate(source.frames()):
            assert np.abs(frame.astype(int) - picture(number)).mean() < 6


def test_a_file_without_any_stream_is_called_empty_or_cut_off(plain, tmp_path):
    data = plain.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"moov") + 30])
    with pytest.raises(MediaError, match=r"neither video nor sound.* copy or export it again|cut off before its index"):
        open_source(tmp_path / "cut.mp4")


def test_frames_that_are_shown_ever_longer_are_no_damage(tmp_path):
    times = [100 * number + 30 * number**2 for number in range(12)]
    with av.open(str(tmp_path / "slower.mkv"), "w") as container:
        stream = add(container)
        stream.codec_context.time_base = Fraction(1, 1000)
        fill(container, stream, times, Fraction(1, 1000))
    with open_source(tmp_path / "slower.mkv") as source:
        assert len(source) == 12
        assert [round(1000 * source.time(number)) for number in range(12)] == times
        assert source.fps == pytest.approx(11 / 4.73, rel=0.01)


def test_frames_at_another_pace_than_the_header_says_are_not_steady(tmp_path):
    path = tmp_path / "paced.gif"
    first, *others = [Image.fromarray(picture(number)) for number in range(3)]
    first.save(path, save_all=True, append_images=others, duration=[100, 300, 50])
    with open_source(path) as source:
        assert [float(source.time(number)) for number in range(3)] == pytest.approx([0, 0.1, 0.4])
        assert not source.steady


@pytest.mark.skipif("dvvideo" not in av.codecs_available, reason="this PyAV cannot write DV")
def test_the_rate_of_a_camcorder_is_that_of_its_frames(tmp_path):
    with av.open(str(tmp_path / "tape.dv"), "w") as container:
        fill(container, add(container, "dvvideo", size=(720, 576)), range(3))
    with open_source(tmp_path / "tape.dv") as source:
        assert (len(source), source.fps, source.steady) == (3, 25.0, True)
