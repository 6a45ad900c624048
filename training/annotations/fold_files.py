"""The folders of the trainings that come before the last one: links to what lies in `data/train` already.

`data/folds/N/train` and `stills` hold what one learns from, `validation` what it is validated and judged on. Nothing is
in `train` that lies within a stretch that was left out: a video with a hole is two videos.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from agss_model.bounded_json import read_json
from agss_model.files import write_json
from training.data.known import FILE


def folder_of(root: Path, number: int) -> Path:
    """Where the data of a training lies; they count from 1."""
    return root / "folds" / str(number)


def pieces(name: str, frames: Sequence[int], whole: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Runs of annotated frames that follow one another in the whole video, each with a name of its own.

    Args:
        name: of the video; it stays where nothing is missing.
        frames: annotated frames, ascending.
        whole: all annotated frames of the video.
    """
    if len(frames) == len(whole):
        return {name: tuple(frames)}
    place = {frame: index for index, frame in enumerate(whole)}
    runs: list[list[int]] = []
    for frame in frames:
        if runs and place[frame] == place[runs[-1][-1]] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return {f"{name}-frames-{run[0]}-{run[-1]}": tuple(run) for run in runs}


def link_training(
    root: Path, number: int, train: Mapping[str, Sequence[int]], whole: Mapping[str, Sequence[int]]
) -> None:
    """Lay out what one training learns from.

    Args:
        root: prepared folder in which `train` and `stills` are whole.
        number: of the training, from 1.
        train: annotated frames by video.
        whole: all annotated frames by video.

    Raises:
        OSError: the folder cannot be written.
    """
    fold = folder_of(root, number)
    known: dict[str, dict[str, list[int]]] = read_json(root / "train" / FILE)
    told: dict[str, dict[str, list[int]]] = {}
    for video, chosen in train.items():
        for name, frames in pieces(video, chosen, whole[video]).items():
            within = range(frames[0], frames[-1] + 1)
            for kind in ("JPEGImages", "Annotations"):
                _link(root / "train" / kind / video, fold / "train" / kind / name, "", within)
            partly = {stem: ids for stem, ids in known.get(video, {}).items() if int(stem) in within}
            told |= {name: partly} if partly else {}
            for kind in ("images", "masks"):
                _link(root / "stills" / kind, fold / "stills" / kind, still_name(video, ""), within)
    write_json(fold / "train" / FILE, told)


def still_name(video: str, number: str) -> str:
    """Of an annotated frame among the photographs, without its ending."""
    return f"team__{video}-{number}"


def _link(source: Path, target: Path, start: str, within: range) -> None:
    """Link the files called `start` and the number of a frame."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        rest = path.stem[len(start) :]
        if path.name.startswith(start) and rest.isdecimal() and int(rest) in within:
            share(path, target / path.name)


def share(source: str | Path, target: str | Path) -> None:
    """Let a file appear in a second place: a link where the file system knows them, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
