"""Files made to break what reads them: each ends in a sentence, or is read, soon and without gigabytes."""

from __future__ import annotations

import base64
import io
import json
import resource
import struct
import time
import zipfile
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from agss_model.cvat import read_cvat_xml
from agss_model.errors import AgssError
from agss_model.formats.reading import read_drawn
from agss_model.masks.files import read_drawn_map
from agss_model.video import open_source
from agss_model.weights.registry import load_model

WIDTH, HEIGHT = 64, 48
LONG, SHORT = struct.Struct("<I").pack, struct.Struct(">I").pack
ROWS = (b"\0" + b"\0" * 8) * 8


@pytest.fixture(autouse=True)
def _bounded():
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB
    assert time.process_time() - began < 30


def check(read, path):
    """Read it; what is raised is a sentence."""
    said = None
    try:
        read(path)
    except AgssError as error:
        said = str(error)
    assert said is None or 20 < len(said) < 5000


# -- pictures ---------------------------------------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + SHORT(zlib.crc32(kind + data))


def png(width=8, height=8, rows=ROWS, extra=b"", colour=0):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(kind, size=(16, 16), **options):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind, **options)
    return file.getvalue()


def tiff(*entries, rest=b"\0" * 100):
    body = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in entries)
    return b"II*\0" + LONG(8) + struct.pack("<H", len(entries)) + body + LONG(0) + rest


def patched(data, find, offset, new):
    place = data.index(find) + offset
    return data[:place] + new + data[place + len(new) :]


BOMB = zlib.compress(b"\0" * 30_000_000)
EXIF = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + struct.pack("<HHII", 0x112, 3, 2**31, 8) * 5000
ANIMATED = encoded("WEBP", save_all=True, append_images=[Image.new("RGB", (16, 16), "red")])
REGION = struct.pack(">IIIIIHHBB", 0, 9, 9, 4_000_000_000, 0, 1, 1, 0, 0)
PICTURES = {
    "sides of two billion.png": png(2**31 - 1, 2**31 - 1),
    "a side of nothing.png": png(0, 5),
    "16384 a side in a few bytes.png": png(16384, 16384),
    "text that unpacks.png": png(extra=chunk(b"zTXt", b"a\0\0" + BOMB)),
    "a profile that unpacks.png": png(extra=chunk(b"iCCP", b"a\0\0" + BOMB)),
    "two billion frames.png": png(extra=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "a frame outside.png": png(extra=chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", REGION)),
    "a palette of one.png": png(rows=(b"\0" + b"\xff" * 8) * 8, extra=chunk(b"PLTE", b"\1\2\3"), colour=3),
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nsystem\n",
    "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "gif.png": encoded("GIF"),
    "sides of 65500.jpg": patched(encoded("JPEG"), b"\xff\xc0", 5, b"\xff\xdc\xff\xdc"),
    "exif.jpg": encoded("JPEG", exif=EXIF[:65000]),
    "mpo.jpg": encoded("JPEG")[:2] + b"\xff\xe2\0\x58MPF\0II*\0\x08\0\0\0" + b"\xff" * 74 + encoded("JPEG")[2:],
    "a canvas of 16 million.webp": patched(ANIMATED, b"VP8X", 12, b"\xff" * 6),
    "a lie about its length.webp": patched(encoded("WEBP"), b"RIFF", 4, b"\xff" * 4),
    "two billion strips.tif": tiff((256, 1, 8), (257, 1, 8), (273, 2**31, 8), (279, 2**31, 8)),
    "many empty pages.tif": b"II*\0" + b"".join(LONG(8 + 6 * k) + b"\0\0" for k in range(100_000)) + LONG(0),
    "256 million pixels.tif": tiff((256, 1, 16000), (257, 1, 16000), (259, 1, 7), (273, 1, 150), (279, 1, 90)),
    "height of minus two billion.bmp": b"BM" + LONG(100) * 2 + LONG(54) + LONG(40)
    + struct.pack("<iiHHIIiiII", -100, -(2**31), 1, 24, *[0] * 6) + bytes(50),
    "runs.bmp": b"BM" + LONG(100) * 2 + LONG(1078) + LONG(40)
    + struct.pack("<iiHHIIiiII", 16000, 16000, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024) + b"\xff\x01" * 99,
    "sides of 65535.gif": b"GIF89a" + b"\xff" * 4 + bytes(9) + b",\0\0\0\0" + b"\xff" * 4 + b"\0\x02\x01\0\0;",
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name, tmp_path):
    path = tmp_path / f"0.{name.rsplit('.', 1)[1]}"
    path.write_bytes(PICTURES[name])
    for place in (path, tmp_path):
        check(lambda place: open_source(place).read(0), place)
    check(lambda path: read_drawn_map(path, []), path)


# -- videos -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    found = {}
    for suffix in ("mp4", "avi", "mkv", "mov"):
        path = tmp_path_factory.mktemp("videos") / f"a.{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            frames = [av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8), format="rgb24")] * 5
            for frame in (*frames, None):
                container.mux(stream.encode(frame))
        found[suffix] = path.read_bytes()
    return found


def _noise(data):
    rng, damaged = np.random.default_rng(0), bytearray(data)
    for place in rng.integers(40, len(data), 200):
        damaged[place] = rng.integers(256)
    return bytes(damaged)


VIDEOS = {
    "sizes of two billion frames.mp4": lambda data: patched(data, b"stsz", 12, SHORT(2**31 - 1)),
    "times of two billion frames.mp4": lambda data: patched(data, b"stts", 8, SHORT(1) + SHORT(2**31 - 1)),
    "two billion in a chunk.mp4": lambda data: patched(data, b"stsc", 8, SHORT(1) + SHORT(1) + SHORT(2**31 - 1)),
    "a clock that stands.mp4": lambda data: patched(data, b"mdhd", 16, b"\0" * 4),
    "frames of 65535.mp4": lambda data: patched(data, b"mp4v", 28, b"\xff" * 4),
    "times before the start.mp4": lambda data: patched(data, b"elst", 8, SHORT(1) + SHORT(2**31 - 1) + b"\xff" * 4),
    "many boxes.mp4": lambda data: data + (SHORT(8) + b"moov") * 100_000,
    "boxes in boxes.mp4": lambda _: b"".join(SHORT(8 * (50_000 - k)) + b"moov" for k in range(50_000)),
    "two billion a second.avi": lambda data: patched(data, b"strh", 28, LONG(1) + LONG(2**31 - 1)),
    "an index without end.avi": lambda data: data + b"idx1\xff\xff\xff\x7f" + b"00dc\x10\0\0\0\4\0\0\0\0\0\0\0" * 9999,
    "noise.mkv": _noise,
    "pixels elsewhere.mov": lambda data: patched(data, b"url ", 4, b"\0" * 4),
    "a playlist.mp4": lambda _: b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a list of files.mp4": lambda _: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a session.mp4": lambda _: b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", VIDEOS)
def test_videos(name, videos, tmp_path):
    path = tmp_path / name
    path.write_bytes(VIDEOS[name](videos[path.suffix[1:]]))
    check(lambda path: list(open_source(path).frames()), path)


# -- weights ----------------------------------------------------------------------------------------------------------


def weights(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(kind, shape, start, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def recorded(text):
    return weights({"__metadata__": {"agss": text}})


CONFIG = {"__metadata__": {"agss": json.dumps({"config": {}, "metadata": {}, "checksum": "x"})}}
WEIGHTS = {
    "a header of exabytes": struct.pack("<Q", 2**63 - 1) + b"{}",
    "tensors over one another": weights(
        {"a": tensor("F32", [4], 0, 16), "b": tensor("F32", [4], 8, 24), **CONFIG}, b"\0" * 24
    ),
    "a shape that overflows": weights({"a": tensor("F32", [2**32, 2**32, 0], 0, 0), **CONFIG}),
    "twenty thousand tensors": weights({**{f"t{k}": tensor("F32", [0], 0, 0) for k in range(20_000)}, **CONFIG}),
    "a deep record": recorded("[" * 100_000),
    "a record of many values": recorded("[" + "{}," * 15_000_000 + "1]"),
    "a number of 5000 digits": recorded('{"config":{"width":' + "9" * 5000 + '},"metadata":{},"checksum":"x"}'),
    "a number beyond all": recorded('{"config":{"temperature":1e400},"metadata":{},"checksum":"x"}'),
    "no number": recorded('{"config":{"temperature":NaN},"metadata":{},"checksum":"x"}'),
    "a list for a dictionary": recorded('{"config":[],"metadata":[[]],"checksum":{}}'),
    "complex numbers": weights({"a": tensor("C64", [1], 0, 8), **CONFIG}, b"\0" * 8),
    "numbers of four bits": weights({"a": tensor("F4", [2], 0, 1), **CONFIG}, b"\0"),
    "names that are commands": weights({"\x1b]0;mine\x07[bold]": tensor("F32", [1], 0, 4), **CONFIG}, b"\0" * 4),
    "a pickle": b"\x80\x04cposix\nsystem\n(S'touch owned'\ntR.",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(WEIGHTS[name])
    with pytest.raises(AgssError) as refused:
        load_model(str(path))
    assert 20 < len(str(refused.value)) < 5000


# -- annotations ------------------------------------------------------------------------------------------------------


class Source:
    """A black clip."""

    size, name = (640, 360), "clip"

    def __len__(self):
        return 100

    def read(self, index):
        return np.zeros((360, 640, 3), np.uint8)


def coco(*segmentations, **image):
    entries = [{"id": k, "image_id": 1, "segmentation": one} for k, one in enumerate(segmentations)]
    return json.dumps({"images": [{"id": 1, "file_name": "1.jpg", **image}], "annotations": entries}).encode()


def labelme(**shape):
    shapes = [{"label": "a", "points": [[0, 0], [5, 5]], **shape}]
    return json.dumps({"shapes": shapes, "imageWidth": 640, "imageHeight": 360}).encode()


def cvat(body, size=100, width=640, height=360, step=""):
    return (
        "<annotations><version>1.1</version><meta><task><id>1</id><name>a</name>"
        f"<size>{size}</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>{size - 1}</stop_frame>"
        f"<frame_filter>{step}</frame_filter><original_size><width>{width}</width><height>{height}</height>"
        f'</original_size></task></meta><track id="0" label="a" source="manual">{body}</track></annotations>'
    ).encode()


POLYGON = '<polygon frame="0" keyframe="1" outside="0" points="0,0;9,0;9,9"></polygon>'
MASK = '<mask frame="0" keyframe="1" outside="0" rle="{}" left="{}" top="0" width="{}" height="999999"></mask>'
ANNOTATIONS = {
    "many values.json": b'{"annotations":[' + b"{}," * 20_000_000 + b'{}],"images":[]}',
    "deep.json": b"[" * 1_000_000,
    "deep objects.json": b'{"a":' * 300_000,
    "5000 digits.json": b'{"images":[{"id":1,"file_name":"1.jpg","width":' + b"9" * 5000 + b'}],"annotations":[]}',
    "runs of exapixels.json": coco({"size": [10**9, 10**9], "counts": [0, 10**18]}),
    "runs of nothing.json": coco({"size": [360, 640], "counts": "~" * 1_000_000}),
    "runs backwards.json": coco({"size": [360, 640], "counts": [-5, 230405]}),
    "corners far away.json": coco([[1e308, -1e308, 1e300, 5, -1e18, 1e18]]),
    "corners nowhere.json": coco("X").replace(b'"X"', b"[[NaN,1e400,1,2,3,4]]"),
    "a name that is a list.json": coco([[0, 0, 9, 0, 9, 9]], file_name=["x"]),
    "annotations that are none.json": b'{"images":[],"annotations":{"a":1}}',
    "frames beyond.json": json.dumps({"frames": {str(10**18): {"1": {"size": [360, 640], "counts": "0"}}}}).encode(),
    "a mask of 900 million.json": labelme(shape_type="mask", mask=base64.b64encode(png(30000, 30000)).decode()),
    "a circle beyond all.json": labelme(shape_type="circle", points=[[0, 0], [1e308, 1e308]]),
    "a label that is a command.json": labelme(label="\x1b[2J[/bold]", points=[[0, 0], [50, 0], [50, 50]]),
    "numbers that are none.txt": b"0 nan inf 1e400 -1e308\n" * 1000,
    "a line of 20 MB.txt": b"0 " + b"0.5 " * 5_000_000,
    "frames without end.xml": cvat(POLYGON, size=10**12),
    "a frame beyond.xml": cvat(POLYGON.replace('frame="0"', f'frame="{10**15}"')),
    "terapixels.xml": cvat(POLYGON, width=10**6, height=10**6),
    "runs of terapixels.xml": cvat(MASK.format("0, 99999999999999", 0, 99999999)),
    "runs before the frame.xml": cvat(MASK.format("-1, 5", -5, 2)),
    "a step of 4000 digits.xml": cvat(POLYGON, step="step=" + "9" * 4000),
    "fifty thousand attributes.xml": b"<annotations " + b" ".join(b'a%d="1"' % k for k in range(50_000)) + b"/>",
    "entities.xml": b'<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>',
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations(name, tmp_path):
    path = tmp_path / f"1.{name.rsplit('.', 1)[1]}"
    path.write_bytes(ANNOTATIONS[name])
    check(lambda path: read_drawn(path, Source(), lambda path: int(path.stem)), path)
    with zipfile.ZipFile(tmp_path / "1.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("annotations" + path.suffix, ANNOTATIONS[name])
    check(lambda path: read_drawn(path, Source(), lambda path: 1), tmp_path / "1.zip")
    check(read_cvat_xml, tmp_path / "1.zip")


def test_zips_that_lie_or_are_locked(tmp_path):
    path = tmp_path / "a.zip"
    for name, member in (("annotations.xml", b"<a/>"), ("annotations.json", b"{" + b" " * 50_000_000 + b"}")):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, member)
        plain = path.read_bytes()
        locked = patched(patched(plain, b"PK\3\4", 6, b"\1"), b"PK\1\2", 8, b"\1")
        for data in (locked, patched(plain, b"PK\1\2", 24, LONG(100)), patched(plain, b"PK\1\2", 42, LONG(2**31))):
            path.write_bytes(data)
            check(lambda path: read_drawn(path, Source(), lambda path: 1), path)
