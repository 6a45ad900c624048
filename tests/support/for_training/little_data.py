"""Little data sets, drawn for the tests."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).parents[3]
RUNS = REPOSITORY / "training" / "runs"


def draw_still(index, width=96, height=72, objects=1):
    """A noisy dark picture with bright blobs, and its mask."""
    rng = np.random.default_rng(index)
    picture = (rng.random((height, width, 3)) * 40).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for number in range(1, objects + 1):
        centre = (int(width * (number - 0.5) / objects), int(height * rng.uniform(0.4, 0.6)))
        axes = (int(width * 0.3 / objects), int(height * 0.3))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 40)), 0, 360, number, -1)
        picture[mask == number] = 200 + (rng.random(3) * 40).astype(np.uint8)
    return picture, mask


def encode(picture, suffix):
    return cv2.imencode(suffix, picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes()


def encode_mask(mask):
    buffer = io.BytesIO()
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def make_stills(folder, count=6, objects=1):
    """images/ and masks/ of `count` stills of the set "blobs"."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        picture, mask = draw_still(index, objects=objects)
        (folder / "images" / f"blobs__{index:03d}.jpg").write_bytes(encode(picture, ".jpg"))
        (folder / "masks" / f"blobs__{index:03d}.png").write_bytes(encode_mask(mask))
    return folder


def make_shard(path, count=3):
    """The same as a tar shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for index in range(count):
            picture, mask = draw_still(index)
            for name, data in (("images", encode(picture, ".jpg")), ("masks", encode_mask(mask))):
                entry = tarfile.TarInfo(f"{name}/{path.stem}_set__{index}.{'jpg' if name == 'images' else 'png'}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return path


def make_videos(root, names, frames=8, every=1, size=(48, 80), objects=2):
    """JPEGImages and Annotations of squares that move to the right; object k in its own rows."""
    height = size[0]
    for name in names:
        images, annotations = root / "JPEGImages" / name, root / "Annotations" / name
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for t in range(frames):
            mask = np.zeros(size, np.uint8)
            for k in range(objects):
                top = int(height * (k + 0.1) / objects)
                mask[top : top + int(height * 0.7 / objects), 4 + 3 * t : 24 + 3 * t] = k + 1
            picture = np.stack([mask * 100, np.full(size, 30 + t, np.uint8), np.zeros(size, np.uint8)], -1)
            (images / f"{t:05d}.jpg").write_bytes(encode(picture, ".jpg"))
            if t % every == 0:
                (annotations / f"{t:05d}.png").write_bytes(encode_mask(mask))
    return root
