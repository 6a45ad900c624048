"""What clips are called on the disk."""

from __future__ import annotations

from pathlib import Path

from agss_model.formats.clip import file_name
from fiftyone_plugin.data.clips import Clip


def folder_name(clip: Clip) -> str:
    """A clip's name, made fit for a file system: the video's, of a part with its frames, or the images' group's.

    Frames are counted from 1 as everywhere in FiftyOne, so that a part is found again there.
    """
    text = Path(clip.paths[0]).stem if clip.is_video else clip.name.split("/")[0]
    if clip != clip.whole:
        text += f" frames {clip.first + 1} to {'end' if clip.last is None else clip.last + 1}"
    return file_name(text)
