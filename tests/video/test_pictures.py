"""Pictures from outside are looked at before anything of them is unpacked."""

from __future__ import annotations

import io
import struct
import time
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from agss_model import pictures
from agss_model.errors import MediaError
from agss_model.pictures import MAX_SCANS, HugePictureError, jpeg_scans, read_header
from agss_model.video import images, open_source
from agss_model.video.images import read_image

FORMATS = ("JPEG", "PNG", "WEBP")


def encoded(kind="JPEG", size=(48, 64), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def many_scans(count, size=(48, 64)):
    """A progressive JPEG whose last scan comes again and again, as a decoder must take it."""
    file = io.BytesIO()
    Image.new("RGB", size[::-1], (90, 120, 30)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (count - jpeg_scans(data)) + data[-2:]


def test_scans_are_counted():
    assert jpeg_scans(encoded()) == 1
    assert 5 < jpeg_scans(encoded(progressive=True)) < 15
    assert jpeg_scans(many_scans(77)) == 77


def test_what_looks_like_a_scan_inside_of_a_segment_does_not_count():
    assert jpeg_scans(encoded(comment=b"\xff\xda" * 3000)) == 1
    assert jpeg_scans(encoded(icc_profile=b"\xff\xda" * 3000, progressive=True)) < 15


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xda", b"\xff\xda\xff", b"\xff\xe0\x00\x00" * 9, b"\xff" * 9])
def test_counting_ends_whatever_the_bytes(data):
    assert jpeg_scans(data) <= 9


def test_as_many_scans_as_encoders_write_pass_and_more_are_refused_at_once(tmp_path):
    assert read_header(many_scans(MAX_SCANS), "it", FORMATS).size == (64, 48)
    (tmp_path / "0.jpg").write_bytes(many_scans(2000, (1024, 1024)))
    began = time.monotonic()
    for read in (read_image, lambda path: open_source(path.parent)):
        with pytest.raises(MediaError, match="more than 100 scans"):
            read(tmp_path / "0.jpg")
    assert time.monotonic() - began < 5


def test_a_header_tells_size_and_pictures():
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 99)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    assert read_header(file.getvalue(), "it", FORMATS).pictures == 2
    assert read_header(encoded("PNG"), "it", FORMATS).pictures == 1
    with pytest.raises(MediaError, match="it is not an image"):
        read_header(encoded("BMP"), "it", FORMATS)


def test_a_picture_that_claims_too_many_pixels_is_told_apart():
    claim = bytearray(encoded("BMP"))
    claim[18:26] = (100_000).to_bytes(4, "little") * 2
    with pytest.raises(HugePictureError):
        read_header(bytes(claim), "it", ("BMP",))


def tiff(*jpegs, size=(1024, 1024)):
    """A TIFF whose pages are JPEGs."""
    data, link = b"II*\0\0\0\0\0", 4
    for jpeg in jpegs:
        at = len(data)
        data += jpeg + b"\0" * (len(jpeg) % 2)
        here = len(data)
        data = data[:link] + struct.pack("<I", here) + data[link + 4 :]
        tags = {
            256: (4, 1, size[1]), 257: (4, 1, size[0]), 258: (3, 3, here + 2 + 12 * 9 + 4), 259: (3, 1, 7),
            262: (3, 1, 6), 273: (4, 1, at), 277: (3, 1, 3), 278: (4, 1, size[0]), 279: (4, 1, len(jpeg)),
        }  # fmt: skip
        entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
        data += struct.pack("<H", 9) + entries
        link = len(data)
        data += b"\0\0\0\0" + struct.pack("<HHH", 8, 8, 8)
    return data


def motion_jpeg(path, *jpegs, size=(1024, 1024)):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuvj420p"
        for number, jpeg in enumerate(jpegs):
            packet = av.Packet(jpeg)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            container.mux(packet)


@pytest.mark.parametrize("name", ["one.tif", "stack.tif", "clip.avi", "clip.mkv", "clip.mjpeg", "0.jpg"])
def test_a_jpeg_inside_of_another_file_is_counted_too(tmp_path, name):
    good, bad = encoded(size=(1024, 1024)), many_scans(2000, (1024, 1024))
    path = tmp_path / name
    if name.endswith(".tif"):
        path.write_bytes(tiff(bad) if name == "one.tif" else tiff(good, bad))
    elif name == "clip.mjpeg":
        path.write_bytes(bad + good)
    elif name == "0.jpg":
        path.write_bytes(bad)
    else:
        motion_jpeg(path, good, bad)
    began = time.process_time()
    with pytest.raises(MediaError, match="more than 100 scans"):
        open_source(path)
    assert time.process_time() - began < 3


def test_pictures_of_few_scans_inside_of_other_files_are_read(tmp_path):
    good = encoded(size=(64, 96), progressive=True)
    (tmp_path / "stack.tif").write_bytes(tiff(good, good, size=(64, 96)))
    motion_jpeg(tmp_path / "clip.avi", *[good] * 150, size=(64, 96))
    (tmp_path / "raw.mjpeg").write_bytes(encoded(size=(64, 96)) * 150)
    for name, count in (("clip.avi", 150), ("raw.mjpeg", 150), ("stack.tif", 2)):
        with open_source(tmp_path / name) as source:
            assert (len(source), source.size) == (count, (96, 64))


def test_pictures_that_only_tell_the_range_of_values_are_looked_at_first_as_well(tmp_path, monkeypatch):
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(many_scans(101))
    (tmp_path / "2.png").write_bytes(b"damaged")
    decoded = []
    real = images.cv2.imdecode
    monkeypatch.setattr(images.cv2, "imdecode", lambda data, flags: decoded.append(data.size) or real(data, flags))
    with open_source(tmp_path) as source:
        assert source.read(0).max() == 249  # 12 bits
        assert (tmp_path / "1.png").stat().st_size not in decoded
        for frame in (1, 2):
            with pytest.raises(MediaError, match=r"more than 100 scans|not an image"):
                source.read(frame)


def test_files_of_more_than_a_gibibyte_are_not_read(tmp_path):
    with (tmp_path / "0.png").open("wb") as file:
        file.write(encoded("PNG"))
        file.truncate((1 << 30) + 1)  # takes no room on the disk
    with pytest.raises(MediaError, match="has 1024 MiB; at most 1024 MiB are read"):
        open_source(tmp_path)


def pages(count):
    """A TIFF of so many pages that share their pixels."""
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (278, 8), (279, 64))
    size = 2 + 12 * len(tags) + 4
    entries = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    after = (72 + size * (page + 1) if page + 1 < count else 0 for page in range(count))
    return (
        b"II*\0" + struct.pack("<I", 72) + b"\0" * 64 + b"".join(entries + struct.pack("<I", place) for place in after)
    )


def test_a_tiff_of_too_many_pages_is_refused_before_they_are_counted(tmp_path, monkeypatch):
    """Pillow compares each with all before it: 25,000 took 22 s, 100,000 minutes."""
    monkeypatch.setattr(pictures, "MAX_PAGES", 300)
    path = tmp_path / "0.tif"
    path.write_bytes(pages(300))
    with open_source(path) as source:
        assert len(source) == 300
    path.write_bytes(pages(200_000))
    began = time.process_time()
    for read in (read_image, open_source, lambda path: open_source(path.parent)):
        with pytest.raises(MediaError, match="more than 300 pages"):
            read(path)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_in_a_million_pieces_is_refused_before_it_is_parsed(kind):
    """Five million empty segments are 20 MB and took Pillow ten seconds for every look at them."""
    data = encoded(kind)
    piece, start = (
        (b"\xff\xfe\0\2", 2) if kind == "JPEG" else (struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt")), 33)
    )
    assert read_header(data[:start] + piece * 1000 + data[start:], "it", FORMATS).size == (64, 48)
    began = time.process_time()
    with pytest.raises(MediaError, match="more than 100000 pieces"):
        read_header(data[:start] + piece * 1_000_000 + data[start:], "it", FORMATS)
    assert time.process_time() - began < 2
