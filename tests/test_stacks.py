"""Several pictures in one file, pixels of more than eight bits, damaged files, and what is no file."""

from __future__ import annotations

import wave

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from agss_model.errors import MediaError
from agss_model.video import open_source
from agss_model.video.depth import BITS, real_bits, to_eight_bits

COUNT = 7


def picture(number, size=(40, 30)):
    rng = np.random.default_rng(number)
    return np.kron(
        rng.integers(0, 255, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8), np.ones((10, 10, 1), np.uint8)
    )


def save(path, pictures, **options):
    first, *rest = [Image.fromarray(one) for one in pictures]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


STACKS = {
    "stack.tif": {},
    "packed.tiff": {"compression": "tiff_lzw"},
    "film.webp": {"lossless": True, "duration": 40},
    "film.png": {"duration": 40},
}


@pytest.mark.parametrize("name", STACKS)
def test_every_picture_of_a_file_is_a_frame(tmp_path, name):
    pictures = [picture(number) for number in range(COUNT)]
    with open_source(save(tmp_path / name, pictures, **STACKS[name])) as source:
        assert len(source) == COUNT
        assert source.size == (40, 30)
        for order in (range(COUNT), (5, 1, 1, 6, 0)):
            for number in order:
                assert np.array_equal(source.read(number), pictures[number])
        assert all(np.array_equal(*pair) for pair in zip(source.frames(step=-1), reversed(pictures), strict=True))
        assert all(np.array_equal(*pair) for pair in zip(source.frames(2, 5), pictures[2:5], strict=True))
    if "film" in name:
        assert source.fps == 25


@pytest.mark.parametrize("name", STACKS)
def test_one_picture_is_one_frame_and_a_stack_among_images_is_refused(tmp_path, name):
    (tmp_path / "one").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "one" / name)
    assert len(open_source(tmp_path / "one" / name)) == 1
    (tmp_path / "many").mkdir()
    save(tmp_path / "many" / name, [picture(0), picture(1)], **STACKS[name])
    with pytest.raises(MediaError, match="holds 2 pictures"):
        open_source(tmp_path / "many")


def test_smaller_copies_in_a_tiff_are_no_frames_and_other_sizes_are_refused(tmp_path):
    small = TiffImagePlugin.ImageFileDirectory_v2()
    small[254] = 1
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "copy.tif"), new=True) as file:
        Image.fromarray(picture(0)).save(file, format="TIFF")
        file.newFrame()
        Image.fromarray(picture(0, (20, 10))).save(file, format="TIFF", tiffinfo=small)
    assert len(open_source(tmp_path / "copy.tif")) == 1
    with pytest.raises(MediaError, match="20x10"):
        open_source(save(tmp_path / "sizes.tif", [picture(0), picture(1, (20, 10))]))


def test_a_stack_that_is_cut_off_says_so(tmp_path):
    path = save(tmp_path / "stack.webp", [picture(number) for number in range(COUNT)], lossless=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MediaError, match=r"stack\.webp"), open_source(path) as source:
        list(source.frames())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", ["folder", "stack"])
def test_the_real_range_of_16_bit_files_is_found_and_said(tmp_path, bits, kind):
    ramp = np.linspace(0, (1 << bits) - 1, 40 * 30).reshape(30, 40).astype(np.uint16)
    pages = [ramp // (COUNT - number) for number in range(COUNT)]  # the brightest comes last
    path = tmp_path / "stack.tif"
    if kind == "folder":
        path = tmp_path / "frames"
        path.mkdir()
        for number, page in enumerate(pages):
            cv2.imwrite(str(path / f"{number}.png"), page)
    else:
        cv2.imwritemulti(str(path), pages)
    with open_source(path) as source:
        last = source.read(COUNT - 1)
        assert (last.min(), last.max()) == (0, 255)
        assert np.abs(last[..., 0] - ramp / ramp.max() * 255).max() <= 0.51
        assert bool(source.notes) == (bits < 16)
        assert not source.notes or f"{bits} bits" in source.notes[0]


def test_depth_of_black_and_of_eight_bits():
    assert real_bits([np.zeros((2, 2), np.uint16)]) == 16
    assert real_bits([np.ones((2, 2), np.uint8)]) == 16
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(to_eight_bits(every, 16), ((every.astype(np.uint32) + 128) // 257).astype(np.uint8))


def test_floating_point_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "one.tif"), np.ones((4, 4, 3), np.float32))
    with pytest.raises(MediaError, match="float32"):
        open_source(tmp_path / "one.tif")
    cv2.imwritemulti(str(tmp_path / "two.tif"), [np.ones((4, 4, 3), np.float32)] * 2)
    with pytest.raises(MediaError, match="float32"):
        open_source(tmp_path / "two.tif").read(0)


@pytest.mark.parametrize("address", ["https://example.org/clip.mp4", "rtsp://camera/1", "s3://bucket/clip.mp4"])
def test_addresses_are_called_addresses(address):
    with pytest.raises(MediaError, match="is an address"):
        open_source(address)


def test_sound_alone_is_no_video(tmp_path):
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 800, "NONE", ""))
        file.writeframes(bytes(1600))
    with pytest.raises(MediaError, match="has no video, only sound"):
        open_source(tmp_path / "sound.wav")
