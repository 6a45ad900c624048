"""Several pictures in one file, pixels of more than eight bits, damaged files, and what is no file."""

from __future__ import annotations

import wave
import zipfile

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin, features

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


@pytest.mark.parametrize("name", ["stack.btf", "stack", "stack.jpg", "stack.png"])
@pytest.mark.parametrize("kind", ["stack.tif", "film.webp", "film.png"])
def test_a_stack_is_one_whatever_it_is_called(tmp_path, kind, name):
    save(tmp_path / kind, [picture(number) for number in range(COUNT)], **STACKS[kind]).rename(tmp_path / name)
    with open_source(tmp_path / name) as source:
        assert len(source) == COUNT
        assert np.array_equal(source.read(3), picture(3))


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "JPEG2000", "MPO", "AVIF"])
def test_a_picture_of_a_kind_that_is_no_frame_is_refused_with_what_to_give(tmp_path, kind):
    if kind.lower() == "avif" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    several = {"save_all": True, "append_images": [Image.fromarray(picture(1))]} if kind == "MPO" else {}
    Image.fromarray(picture(0)).save(tmp_path / f"frame.{kind.lower()}", format=kind, **several)
    with pytest.raises(MediaError, match=r"single picture.* give a folder of PNG"):
        open_source(tmp_path / f"frame.{kind.lower()}")


@pytest.mark.parametrize("count", [1, 3])
def test_alpha_of_a_tiff_does_not_darken_it(tmp_path, count):
    veil = np.full((*picture(0).shape[:2], 1), 90, np.uint8)
    pages = [np.dstack([picture(number), veil]) for number in range(count)]
    tifffile.imwrite(tmp_path / "it.tif", np.stack(pages), photometric="rgb", extrasamples=["unassalpha"])
    with open_source(tmp_path / "it.tif") as source:
        assert np.array_equal(np.stack(list(source.frames())), np.stack([picture(number) for number in range(count)]))


def test_other_pictures_in_a_folder_are_named_and_folders_are_passed_over(tmp_path):
    for name in ("0.png", "1.png", "2.gif", "3.jp2"):
        Image.fromarray(picture(0)).save(tmp_path / name)
    (tmp_path / "4.png").mkdir()
    with open_source(tmp_path) as source:
        assert len(source) == 2
        assert source.notes == (f"2.gif, 3.jp2 in {tmp_path} cannot be read and are no frames; convert them to PNG.",)


def test_a_folder_of_folders_and_an_archive_say_where_the_frames_may_be(tmp_path):
    (tmp_path / "clip" / "left").mkdir(parents=True)
    with pytest.raises(MediaError, match=r"one of left in it\?"):
        open_source(tmp_path / "clip")
    with zipfile.ZipFile(tmp_path / "clip.zip", "w") as file:
        file.writestr("0.png", b"")
    with pytest.raises(MediaError, match="archive; unpack it"):
        open_source(tmp_path / "clip.zip")


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


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("kind", "shape"), [("float16", (4, 4)), ("float32", (4, 4, 3)), ("float64", (4, 4))])
def test_floating_point_is_called_what_it_is(tmp_path, kind, shape, big):
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
    tifffile.imwrite(tmp_path / "one.tif", np.ones(shape, kind), bigtiff=big)
    with pytest.raises(MediaError, match="float") as caught:
        open_source(tmp_path)
    assert "perhaps" not in str(caught.value)
    (tmp_path / "one.tif").write_bytes((tmp_path / "one.tif").read_bytes()[:60])
    with pytest.raises(MediaError, match=r"damaged|cannot be") as caught:
        open_source(tmp_path)
    assert "floating-point numbers" not in str(caught.value)


def test_floating_point_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "one.tif"), np.ones((4, 4), np.float32))
    with pytest.raises(MediaError, match="float32"):
        open_source(tmp_path / "one.tif")
    cv2.imwritemulti(str(tmp_path / "two.tif"), [np.ones((4, 4), np.float32)] * 2)
    with pytest.raises(MediaError, match="float32"):
        open_source(tmp_path / "two.tif").read(0)


@pytest.mark.parametrize("address", ["https://example.org/clip.mp4", "rtsp://camera/1", "s3://bucket/clip.mp4"])
def test_addresses_are_called_addresses(address):
    with pytest.raises(MediaError, match=f"^{address} is an address"):
        open_source(address)


def test_sound_alone_is_no_video(tmp_path):
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 800, "NONE", ""))
        file.writeframes(bytes(1600))
    with pytest.raises(MediaError, match="has no video, only sound"):
        open_source(tmp_path / "sound.wav")
