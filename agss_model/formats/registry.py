"""The formats by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from agss_model.errors import OutputError
from agss_model.files import explained, held, part_of, remove_leftovers
from agss_model.formats.coco import write_coco, write_coco_video, write_rle_json
from agss_model.formats.folders import write_davis, write_labelme, write_yolo, write_youtube_vos
from agss_model.formats.tracked import Tracked
from agss_model.formats.video import write_alpha_video, write_cvat_video

FORMATS: dict[str, Callable[[Tracked, Path], None]] = {
    "coco": write_coco,
    "coco-video": write_coco_video,
    "yolo": write_yolo,
    "davis": write_davis,
    "youtube-vos": write_youtube_vos,
    "cvat-video": write_cvat_video,
    "labelme": write_labelme,
    "rle-json": write_rle_json,
    "alpha-video": write_alpha_video,
}


def export(tracked: Tracked, name: str, out: Path) -> None:
    """Write a new folder in one of `FORMATS`; it appears whole or not at all, and what a killed export left goes.

    Raises:
        OutputError: something is there already, another process is writing it, or it cannot be written.
        AgssError: the format needs what is not at hand.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists already and is not an empty folder; choose another --out")
    out = out.absolute()
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with held(out.with_name(f".{out.name[:100]}.lock"), out):
        remove_leftovers(out.parent, of=out.name)
        part = part_of(out)
        try:
            with explained(out):
                part.mkdir()
            FORMATS[name](tracked, part)
            with explained(out):
                if out.is_dir():
                    out.rmdir()  # it is empty, or this fails
                part.rename(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
