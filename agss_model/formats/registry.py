"""The formats by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agss_model.bounded_json import read_json
from agss_model.errors import ConfigError, MediaError, OutputError
from agss_model.files import explained, held, unfinished, write_bytes, write_json
from agss_model.formats.clip import MaskedClip
from agss_model.formats.coco import write_coco, write_coco_video, write_rle_json
from agss_model.formats.folders import write_davis, write_labelme, write_yolo, write_youtube_vos
from agss_model.formats.video import write_alpha_video, write_cvat_video
from agss_model.masks.labels import MAX_OBJECT_ID

_VOID = 255


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        write: writes a clip into an empty folder.
        shared: folders with one folder per clip, so that several clips go into one; none: each clip is apart.
        whole: an object without a mask in a written frame is said not to be there.
        flat: objects cannot overlap.
        most_ids: highest id that readers of the format are sure to take, which expect masks of 8 bits.
        void: id that marks pixels to be ignored, so that no object can have it; 0 where none does.
    """

    write: Callable[[MaskedClip, Path], None]
    shared: tuple[str, ...] = ()
    whole: bool = True
    flat: bool = False
    most_ids: int = MAX_OBJECT_ID
    void: int = 0


FORMATS: dict[str, Format] = {
    "coco": Format(write_coco),
    "coco-video": Format(write_coco_video),
    "yolo": Format(write_yolo),
    "davis": Format(write_davis, ("JPEGImages/480p", "Annotations/480p"), flat=True, most_ids=_VOID - 1, void=_VOID),
    "youtube-vos": Format(write_youtube_vos, ("JPEGImages", "Annotations"), flat=True, most_ids=_VOID - 1, void=_VOID),
    "cvat-video": Format(write_cvat_video, whole=False),
    "labelme": Format(write_labelme),
    "rle-json": Format(write_rle_json, whole=False),
    "alpha-video": Format(write_alpha_video, flat=True),
}


def export(clip: MaskedClip, name: str, out: Path) -> None:
    """Write a new folder in one of `FORMATS`; it appears whole or not at all, and what a killed export left goes.

    Raises:
        OutputError: something is there already, another process is writing it, or it cannot be written.
        ConfigError: an id that means something else there.
        AgssError: the format needs what is not at hand.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists already and is not an empty folder; choose another --out")
    with _written(clip, name, out) as part, explained(out):
        if out.is_dir():
            out.rmdir()  # it is empty, or this fails
        part.rename(out)


def add(clip: MaskedClip, name: str, root: Path) -> None:
    """Write one of several clips below a folder: beside those there, or, where the format has that, together with them.

    Raises:
        OutputError: a clip of this name is there already, or it cannot be written.
        AgssError: as `export`.
    """
    form = FORMATS[name]
    places = [root / folder / clip.name for folder in form.shared] or [root / clip.name]
    for place in places:
        if place.exists():
            raise OutputError(f"{place} exists already; choose an empty folder, or remove that one.")
    if not form.shared:
        export(clip, name, root / clip.name)
        return
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    with _written(clip, name, root / clip.name) as part, explained(root):
        for folder in form.shared:
            if (part / folder / clip.name).is_dir():
                (root / folder).mkdir(parents=True, exist_ok=True)
                (part / folder / clip.name).rename(root / folder / clip.name)
        for path in sorted(part.rglob("*")):
            if path.is_file():
                _join(path, root / path.relative_to(part))


@contextlib.contextmanager
def filling(root: Path) -> Iterator[Path]:
    """Where several clips are added: beside a new folder until all of them are there, or in one that holds others.

    Raises:
        OutputError: another process writes into it, and the message says which; or it cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise OutputError(f"{root} is a file; choose a folder")
    with _held(root), contextlib.ExitStack() as ending:
        if root.is_dir() and any(root.iterdir()):
            yield root
            return
        with explained(root):
            part = ending.enter_context(unfinished(root, folder=True))
        yield part
        with explained(root):
            if any(part.iterdir()):
                if root.is_dir():
                    root.rmdir()  # it is empty, or this fails
                part.rename(root)


@contextlib.contextmanager
def _held(out: Path) -> Iterator[None]:
    out = out.absolute()
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with held(out.with_name(f".{out.name[:100]}.lock"), out):
        yield


@contextlib.contextmanager
def _written(clip: MaskedClip, name: str, out: Path) -> Iterator[Path]:
    """A folder beside `out` with everything in it; what is left of it at the end goes."""
    form = FORMATS[name]
    if form.void in clip.labels:
        raise ConfigError(
            f"object {form.void} cannot go into {name}, where it marks pixels to be ignored; give it another id"
        )
    with _held(out), contextlib.ExitStack() as ending:
        with explained(out):
            part = ending.enter_context(unfinished(out, folder=True))
        form.write(clip, part)
        yield part


def _join(new: Path, there: Path) -> None:
    """Add what a file says about one clip to a file about several."""
    if not there.is_file():
        there.parent.mkdir(parents=True, exist_ok=True)
        new.rename(there)
    elif new.suffix == ".txt":
        lines = dict.fromkeys([*there.read_text(encoding="utf-8").split(), *new.read_text(encoding="utf-8").split()])
        write_bytes(there, "".join(f"{line}\n" for line in lines).encode())
    else:
        try:
            told = read_json(there)["videos"]
            write_json(there, {"videos": {**told, **read_json(new)["videos"]}})
        except (ValueError, KeyError, TypeError) as error:
            raise MediaError(f"{there} is damaged ({error!r}); remove it, or choose another folder") from error
