"""`known.json`: which objects the masks of a folder tell about, where a frame does not tell about all.

A mask file says for every pixel which object it is, but a frame in which only some objects were annotated says nothing
about the others: they may be anywhere. `known.json` at the root of a folder in YouTube-VOS' layout lists, by video and
name of the frame, the ids that are known; frames that are not listed tell about every object.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agss_model.bounded_json import read_json
from agss_model.errors import MediaError

FILE = "known.json"
Known = Mapping[str, frozenset[int]]


def read_known(root: Path) -> dict[str, Known]:
    """Ids by video and name of frame; empty where the folder has no such file.

    Raises:
        MediaError: the file is damaged.
    """
    path = root / FILE
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
        return {
            str(video): {str(stem): frozenset(int(value) for value in ids) for stem, ids in frames.items()}
            for video, frames in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MediaError(f"{path} is damaged ({error}); it must hold {{VIDEO: {{FRAME: [ids]}}}}") from error
