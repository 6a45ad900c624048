"""What people bring: videos, folders of images and masks as many programs write them, read as they were meant."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from agss_model.errors import AgssError
from agss_model.masks.files import read_drawn_map
from agss_model.video import open_source

WIDTH, HEIGHT, COUNT = 64, 48, 6


def picture(number):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = (40 + 20 * number, 200 - 15 * number, 90)
    image[8:24, 4 + 4 * number : 20 + 4 * number] = (220, 30, 30)
    return image


# Videos: container, codec, pixels, options.

X265 = {"x265-params": "log-level=none"}
VIDEOS = {
    "h264 4:2:2": ("mp4", "libx264", "yuv422p", {}),
    "h264 4:4:4": ("mp4", "libx264", "yuv444p", {}),
    "h264 of 10 bits": ("mp4", "libx264", "yuv420p10le", {}),
    "h264 of full range": ("mp4", "libx264", "yuvj420p", {}),
    "h264 as rgb": ("mp4", "libx264rgb", "rgb24", {}),
    "h264 grey": ("mp4", "libx264", "gray", {}),
    "h264 without container": ("h264", "libx264", "yuv420p", {}),
    "h264 in flv": ("flv", "libx264", "yuv420p", {}),
    "h264 in mkv, all intra": ("mkv", "libx264", "yuv420p", {"g": "1"}),
    "hevc": ("mkv", "libx265", "yuv420p", X265),
    "hevc of 10 bits": ("mp4", "libx265", "yuv420p10le", X265),
    "vp8": ("webm", "libvpx", "yuv420p", {}),
    "vp8 with alpha": ("webm", "libvpx", "yuva420p", {"auto-alt-ref": "0"}),
    "vp8 in ivf": ("ivf", "libvpx", "yuv420p", {}),
    "vp9": ("webm", "libvpx-vp9", "yuv420p", {}),
    "vp9 4:4:4": ("webm", "libvpx-vp9", "yuv444p", {}),
    "av1": ("mp4", "libsvtav1", "yuv420p", {}),
    "prores": ("mov", "prores_ks", "yuv422p10le", {}),
    "prores 4444": ("mov", "prores_ks", "yuva444p10le", {}),
    "cineform": ("mov", "cfhd", "yuv422p10le", {}),
    "qtrle": ("mov", "qtrle", "rgb24", {}),
    "png in mov": ("mov", "png", "rgb24", {}),
    "mjpeg": ("avi", "mjpeg", "yuvj422p", {}),
    "mjpeg without container": ("mjpeg", "mjpeg", "yuvj420p", {}),
    "raw bgr": ("avi", "rawvideo", "bgr24", {}),
    "raw yuyv": ("avi", "rawvideo", "yuyv422", {}),
    "huffyuv": ("avi", "huffyuv", "yuv422p", {}),
    "mpeg4": ("avi", "mpeg4", "yuv420p", {}),
    "mpeg4 in m4v": ("m4v", "mpeg4", "yuv420p", {}),
    "mpeg4 in 3gp": ("3gp", "mpeg4", "yuv420p", {}),
    "ms mpeg4": ("avi", "msmpeg4", "yuv420p", {}),
    "ffv1": ("mkv", "ffv1", "yuv444p", {}),
    "ffv1 grey of 16 bits": ("mkv", "ffv1", "gray16le", {}),
    "ffv1 bgr in nut": ("nut", "ffv1", "bgr0", {}),
    "mpeg2 in ts": ("ts", "mpeg2video", "yuv420p", {}),
    "mpeg2 in vob": ("vob", "mpeg2video", "yuv420p", {}),
    "mpeg2 in mxf": ("mxf", "mpeg2video", "yuv422p", {}),
    "mpeg1": ("mpg", "mpeg1video", "yuv420p", {}),
    "flv1": ("flv", "flv", "yuv420p", {}),
    "wmv2": ("wmv", "wmv2", "yuv420p", {}),
    "gif": ("gif", "gif", "rgb8", {}),
    "y4m": ("y4m", "wrapped_avframe", "yuv420p", {}),
    "jpeg 2000": ("mkv", "jpeg2000", "rgb24", {}),
    "snow": ("mkv", "snow", "yuv420p", {}),
    "animated png": ("apng", "apng", "rgb24", {}),
}


@contextmanager
def usual_priority():
    """Take back the real-time priority that SVT-AV1 gives the thread which encodes, where it may."""
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_of_many_programs_are_read_frame_by_frame(tmp_path, name):
    suffix, codec, pixels, options = VIDEOS[name]
    path = tmp_path / f"clip.{suffix}"
    try:
        with usual_priority(), av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25, options=dict(options))
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
            for number in range(COUNT):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format=pixels)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"PyAV cannot write it here: {error}")
    with open_source(path) as source:
        assert (len(source), source.size) == (COUNT, (WIDTH, HEIGHT))
        frames = list(source.frames())
        for number in (COUNT - 1, 0, 3):
            assert np.array_equal(source.read(number), frames[number])
    grey, eight = "gray" in pixels, pixels == "rgb8"
    for number, frame in enumerate(frames):
        expected = picture(number).astype(float)
        if grey:
            expected = np.broadcast_to((expected @ (0.299, 0.587, 0.114))[..., None], expected.shape)
        assert np.abs(frame - expected)[30:44, 2:60].mean() < (20 if eight else 6)


# Folders of images: each writes one image and says how much of it may be lost.


def png(path, image):
    Image.fromarray(image).save(path.with_suffix(".png"))
    return 0


def upper(path, image):
    Image.fromarray(image).save(path.with_suffix(".PNG"), format="PNG")
    return 0


def jpeg(path, image, **more):
    Image.fromarray(image).save(path.with_suffix(".jpg"), quality=95, **more)
    return 6


def progressive(path, image):
    return jpeg(path, image, progressive=True)


def full_colour(path, image):
    return jpeg(path, image, subsampling=0)


def jpeg_called_png(path, image):
    Image.fromarray(image).save(path.with_suffix(".png"), format="JPEG", quality=95)
    return 6


def cmyk(path, image):
    Image.fromarray(image).convert("CMYK").save(path.with_suffix(".jpg"), quality=95)
    return 12


def rgba(path, image):
    alpha = np.full((HEIGHT, WIDTH, 1), 100, np.uint8)
    Image.fromarray(np.dstack([image, alpha])).save(path.with_suffix(".png"))
    return 0


def palette(path, image):
    Image.fromarray(image).quantize(16).save(path.with_suffix(".png"))
    return 12


def with_profile(path, image):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(image).save(path.with_suffix(".png"), icc_profile=profile)
    return 0


def wide_png(path, image):
    cv2.imwrite(str(path.with_suffix(".png")), image[..., ::-1].astype(np.uint16) * 257)
    return 1


def bmp(path, image):
    Image.fromarray(image).save(path.with_suffix(".bmp"))
    return 0


def webp(path, image):
    Image.fromarray(image).save(path.with_suffix(".webp"), lossless=True)
    return 0


def webp_lossy(path, image):
    Image.fromarray(image).save(path.with_suffix(".webp"), quality=90)
    return 10


def tiff(path, image, **more):
    tifffile.imwrite(path.with_suffix(".tif"), image, photometric="rgb", **more)
    return 0


def tiff_deflate(path, image):
    Image.fromarray(image).save(path.with_suffix(".tiff"), compression="tiff_adobe_deflate")
    return 0


def tiff_lzw(path, image):
    Image.fromarray(image).save(path.with_suffix(".tif"), compression="tiff_lzw")
    return 0


def tiff_tiled(path, image):
    return tiff(path, image, tile=(16, 16))


def tiff_big_endian(path, image):
    return tiff(path, image, byteorder=">")


def tiff_planes(path, image):
    tifffile.imwrite(path.with_suffix(".tif"), np.moveaxis(image, 2, 0), photometric="rgb", planarconfig="separate")
    return 0


def bigtiff(path, image):
    return tiff(path, image, bigtiff=True)


def turned(path, image):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.ascontiguousarray(image[::-1, ::-1])).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    return 6


def linked(path, image):
    target = path.parent.parent / f"{path.name}.png"
    Image.fromarray(image).save(target)
    path.with_suffix(".png").symlink_to(target)
    return 0


IMAGES = (
    png, upper, jpeg, progressive, full_colour, jpeg_called_png, cmyk, rgba, palette, with_profile, wide_png, bmp, webp,
    webp_lossy, tiff, tiff_deflate, tiff_lzw, tiff_tiled, tiff_big_endian, tiff_planes, bigtiff, turned, linked,
)  # fmt: skip


@pytest.mark.parametrize("write", IMAGES, ids=lambda write: write.__name__)
def test_images_of_many_programs_are_read_as_they_look(tmp_path, write):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        loss = write(folder / f"frame_{number:02d}", picture(number))
    with open_source(folder) as source:
        assert (len(source), source.size) == (3, (WIDTH, HEIGHT))
        for number, frame in enumerate(source.frames()):
            assert np.abs(frame.astype(int) - picture(number))[30:44, 2:60].max() <= loss


NAMES = {
    "from one": ["1.png", "2.png", "3.png"],
    "in tens": ["8.png", "9.png", "10.png"],
    "with gaps": ["000017.png", "000200.png", "000201.png"],
    "with words": ["left 9 cam2.png", "left 10 cam2.png", "left 11 cam2.png"],
    "with dots": ["scan.0009.exposure.png", "scan.0010.exposure.png", "scan.0011.exposure.png"],
    "in Greek": ["εικόνα_1.png", "εικόνα_2.png", "εικόνα_10.png"],
    "by time": ["2024-01-02T10-00-00.png", "2024-01-02T10-00-01.png", "2024-01-02T10-00-10.png"],
    "of two kinds": ["0.jpg", "1.png", "2.bmp"],
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_many_programs_are_in_the_order_of_people(tmp_path, name):
    for number, file in enumerate(NAMES[name]):
        Image.fromarray(picture(number)).save(tmp_path / file)
    for extra in (".DS_Store", "Thumbs.db", "notes.txt", "list.csv"):
        (tmp_path / extra).write_text("x")
    (tmp_path / "thumbnails").mkdir()
    with open_source(tmp_path) as source:
        assert [path.name for path in source.paths] == NAMES[name]


# Masks: each writes the ids 0 to 3, or says that it cannot.


def ids():
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[4:20, 4:30], label_map[24:40, 10:50], label_map[30:44, 44:60] = 1, 2, 3
    return label_map


def indexed(path, label_map, **more):
    image = Image.fromarray(label_map, mode="P")
    image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
    image.save(path, **more)


def two_bits(path, label_map):
    indexed(path.with_suffix(".png"), label_map, bits=2)


def four_bits(path, label_map):
    indexed(path.with_suffix(".png"), label_map, bits=4)


def transparent_index(path, label_map):
    indexed(path.with_suffix(".png"), label_map, transparency=0)


def indexed_bmp(path, label_map):
    indexed(path.with_suffix(".bmp"), label_map)


def indexed_gif(path, label_map):
    indexed(path.with_suffix(".gif"), label_map)


def indexed_tiff(path, label_map):
    indexed(path.with_suffix(".tif"), label_map, compression="tiff_lzw")


def grey_png(path, label_map):
    Image.fromarray(label_map).save(path.with_suffix(".png"))


def grey_as_rgb(path, label_map):
    Image.fromarray(np.dstack([label_map] * 3)).save(path.with_suffix(".png"))


def grey_as_rgba(path, label_map):
    Image.fromarray(np.dstack([label_map] * 3 + [np.full_like(label_map, 255)])).save(path.with_suffix(".png"))


def grey_alpha(path, label_map):
    Image.fromarray(np.dstack([label_map, np.full_like(label_map, 255)]), mode="LA").save(path.with_suffix(".png"))


def grey_of_16_bits(path, label_map):
    Image.fromarray(label_map.astype(np.uint16)).save(path.with_suffix(".png"))


def grey_tiff_of_16_bits(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.uint16))


def tiff_of_32_bits(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.int32))


def tiff_of_unsigned_32_bits(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.uint32))


def whole_numbers_as_floats(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.float32))


def colours(path, label_map):
    from agss_model.masks import DAVIS_PALETTE

    Image.fromarray(DAVIS_PALETTE[label_map]).save(path.with_suffix(".png"))


def colours_in_bmp(path, label_map):
    from agss_model.masks import DAVIS_PALETTE

    Image.fromarray(DAVIS_PALETTE[label_map]).save(path.with_suffix(".bmp"))


def colours_with_alpha(path, label_map):
    from agss_model.masks import DAVIS_PALETTE

    rgba = np.dstack([DAVIS_PALETTE[label_map], (label_map > 0).astype(np.uint8) * 255])
    rgba[label_map == 0, :3] = 255  # white where nothing is seen
    Image.fromarray(rgba).save(path.with_suffix(".png"))


def with_a_profile_and_gamma(path, label_map):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(label_map).save(path.with_suffix(".png"), icc_profile=profile)


def upside_down_by_exif(path, label_map):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.ascontiguousarray(label_map[::-1, ::-1])).save(path.with_suffix(".png"), exif=exif)


def with_soft_edges_of_alpha(path, label_map):
    from agss_model.masks import DAVIS_PALETTE

    wider = np.where(label_map > 0, label_map, cv2.dilate(label_map, np.ones((5, 5))))
    alpha = np.where(label_map > 0, 255, np.where(wider > 0, 90, 0)).astype(np.uint8)
    Image.fromarray(np.dstack([DAVIS_PALETTE[wider], alpha])).save(path.with_suffix(".png"))


def upper_case(path, label_map):
    Image.fromarray(label_map).save(path.with_suffix(".PNG"), format="PNG")


def numpy_array(path, label_map):
    np.save(path.with_suffix(".npy"), label_map)


MASKS = (
    two_bits, four_bits, transparent_index, indexed_bmp, indexed_gif, indexed_tiff, grey_png, grey_as_rgb, grey_as_rgba,
    grey_alpha, grey_of_16_bits, grey_tiff_of_16_bits, tiff_of_32_bits, tiff_of_unsigned_32_bits,
    whole_numbers_as_floats, colours, colours_in_bmp, colours_with_alpha, with_a_profile_and_gamma, upside_down_by_exif,
    with_soft_edges_of_alpha, upper_case,
)  # fmt: skip


@pytest.mark.parametrize("write", MASKS, ids=lambda write: write.__name__)
def test_masks_of_many_programs_keep_their_ids(tmp_path, write):
    write(tmp_path / "00000", ids())
    (path,) = tmp_path.iterdir()
    assert np.array_equal(read_drawn_map(path, []), ids())


def binary(path, on):
    Image.fromarray(on).save(path.with_suffix(".png"))


def binary_bmp(path, on):
    Image.fromarray(on).convert("1").save(path.with_suffix(".bmp"))


def black_and_white(path, on):
    Image.fromarray(np.dstack([on.astype(np.uint8) * 255] * 3)).save(path.with_suffix(".png"))


def white_on_transparent(path, on):
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    Image.fromarray(np.dstack([white, on.astype(np.uint8) * 255])).save(path.with_suffix(".png"))


@pytest.mark.parametrize("write", [binary, binary_bmp, black_and_white, white_on_transparent], ids=lambda w: w.__name__)
def test_masks_of_one_object_are_one_object(tmp_path, write):
    write(tmp_path / "00000", ids() == 1)
    (path,) = tmp_path.iterdir()
    found = read_drawn_map(path, [])
    assert np.array_equal(found > 0, ids() == 1)
    assert len(np.unique(found)) == 2


def lossy(path, label_map):
    Image.fromarray(label_map * 80).save(path.with_suffix(".jpg"))


def colours_of_no_palette(path, label_map):
    Image.fromarray(np.array([[0, 0, 0], [12, 200, 7], [1, 2, 3], [99, 98, 97]], np.uint8)[label_map]).save(
        path.with_suffix(".png")
    )


def fractions(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.float32) / 3)


def negative(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), label_map.astype(np.int32) - 1)


def cut_off(path, label_map):
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH), np.uint8)).save(path.with_suffix(".png"))
    data = path.with_suffix(".png").read_bytes()
    path.with_suffix(".png").write_bytes(data[: len(data) // 2])


def several_in_a_gif(path, label_map):
    indexed(path.with_suffix(".gif"), label_map, save_all=True, append_images=[Image.fromarray(label_map[::-1])])


def several_in_a_tiff(path, label_map):
    tifffile.imwrite(path.with_suffix(".tif"), np.stack([label_map, label_map[::-1]]))


def several_in_a_png(path, label_map):
    others = [Image.fromarray(label_map[::-1])]
    Image.fromarray(label_map).save(path.with_suffix(".png"), save_all=True, append_images=others)


def pickled(path, label_map):
    np.save(path.with_suffix(".npy"), np.array([{"a": 1}]), allow_pickle=True)


REFUSED = (
    lossy, numpy_array, colours_of_no_palette, fractions, negative, cut_off, several_in_a_gif, several_in_a_tiff,
    several_in_a_png, pickled,
)  # fmt: skip


@pytest.mark.parametrize("write", REFUSED, ids=lambda write: write.__name__)
def test_what_cannot_be_a_mask_is_refused_with_what_to_do(tmp_path, write):
    write(tmp_path / "00000", ids())
    (path,) = tmp_path.iterdir()
    with pytest.raises(AgssError, match=r"save|export|pass|use") as caught:
        read_drawn_map(path, [])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("ground", "objects"), [(255, 0), (1, 2), (0, 1)])
def test_a_background_that_is_not_0_is_read_with_a_word(tmp_path, ground, objects):
    Image.fromarray(np.where(ids() == 1, objects, ground).astype(np.uint8)).save(tmp_path / "0.png")
    notes = []
    read_drawn_map(tmp_path / "0.png", notes)
    assert ["if that is the background, save it as 0" in note for note in notes] == [True] * (ground > 0)


def test_a_link_to_a_folder_of_images_is_that_folder(tmp_path):
    (tmp_path / "real").mkdir()
    png(tmp_path / "real" / "0", picture(0))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(open_source(tmp_path / "link")) == 1
    shutil.rmtree(tmp_path / "real")
