"""The clip that commands are tried on, and what is done with its files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

COUNT, WIDTH, HEIGHT = 10, 96, 64


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_image(path: Path, rgb) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def solid(value, height=HEIGHT, width=WIDTH):
    return np.full((height, width, 3), value, np.uint8)
