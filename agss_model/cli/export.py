"""`agss export`: a finished run, or an export of CVAT, in the format of another tool."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.cli.console import stdout
from agss_model.cvat import Include, read_cvat_xml
from agss_model.errors import ConfigError, MediaError
from agss_model.formats.annotated import of_annotations
from agss_model.formats.clip import MaskedClip
from agss_model.formats.registry import FORMATS
from agss_model.formats.registry import export as write
from agss_model.runs.finished import read_run
from agss_model.video import open_source
from agss_model.words import plural

Format = Enum("Format", {name: name for name in FORMATS})  # type: ignore[misc]
TO = typer.Option("--to", help="The format.", show_default=False)
OUT = typer.Option("--out", help="A new folder.", show_default=False)
LABEL = typer.Option("--label", help="Class of an object, such as 3=person; may be repeated.", show_default=False)
SHAPES = typer.Option(
    "--shapes", help="Of CVAT's shapes: human: drawn by people; interpolated: also what lies between; all: every one."
)


def export(
    run: Annotated[
        Path,
        typer.Argument(help="The folder that agss track wrote, or an export of CVAT (XML or ZIP).", show_default=False),
    ],
    to: Annotated[Format, TO],
    out: Annotated[Path, OUT],
    label: Annotated[list[str] | None, LABEL] = None,
    source: Annotated[
        Path | None, typer.Option(help="The clip, to write its pictures as well.", show_default=False)
    ] = None,
    shapes: Annotated[Include, SHAPES] = "all",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write the masks of a finished run for COCO, YOLO, DAVIS, YouTube-VOS, CVAT, LabelMe or a video editor.

    All formats keep every pixel but YOLO's, which has outlines without holes and no object ids.
    """
    labels = chosen_labels(label)
    clip = _of_cvat(run, shapes, labels, source) if run.is_file() else read_run(run, labels, source)
    write(clip, to.value, out)
    stdout().print(written(clip, out))


def _of_cvat(path: Path, shapes: Include, labels: dict[int, str], source: Path | None) -> MaskedClip:
    videos = read_cvat_xml(path)
    if len(videos) != 1:
        raise MediaError(f"{path} holds {len(videos)} tasks; export one at a time")
    (video,) = videos
    clip = None if source is None else open_source(source)
    if clip is not None and (len(clip), clip.size) != (video.frame_count, (video.width, video.height)):
        raise MediaError(
            f"{source} has {len(clip)} frames of {clip.size}, but {path} is about {video.frame_count} of "
            f"{(video.width, video.height)}; give the clip that was annotated"
        )
    return of_annotations(video, shapes, labels, clip)


def written(clip: MaskedClip, out: Path) -> str:
    """A sentence on what was written."""
    return f"{plural(len(clip.frames), 'frame')} and {plural(len(clip.labels), 'object')} written to {out}"


def chosen_labels(words: list[str] | None) -> dict[int, str]:
    """Classes by object, from words such as "3=person".

    Raises:
        ConfigError: another form.
    """
    labels = {}
    for word in words or ():
        number, _, name = word.partition("=")
        if not number.isdecimal() or not name.strip():
            raise ConfigError(f"--label is {word!r}; write the object's id and its class, such as 3=person")
        labels[int(number)] = name.strip()
    return labels
