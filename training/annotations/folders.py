"""Folders in DAVIS' and YouTube-VOS' layout as a team's videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agss_model.cvat import Include, Problem
from agss_model.errors import MediaError
from agss_model.evaluation.layouts import Layout, Sequence, open_dataset
from agss_model.masks.labels import LabelMap
from agss_model.video.images import ImageFrames, read_image
from training.annotations.videos import TeamVideo
from training.data.evaluation_data import is_evaluation, refuse_evaluation_data, validation_names
from training.data.known import Known, read_known


def is_folder_dataset(root: Path) -> bool:
    """Whether a folder is laid out as DAVIS or YouTube-VOS."""
    return (root / "JPEGImages").is_dir() and (root / "Annotations").is_dir()


def layout_of(root: Path) -> Layout:
    """DAVIS where every frame has a mask, else YouTube-VOS.

    Raises:
        MediaError: the folder is incomplete.
    """
    if (root / "meta.json").is_file():
        return "youtube-vos"
    whole = all(len(sequence.annotations) == len(sequence.frames) for sequence in open_dataset(root, "davis"))
    return "davis" if whole else "youtube-vos"


def read_folder(root: Path) -> tuple[list[TeamVideo], list[Problem]]:
    """The videos of a folder that may be trained on.

    Raises:
        ConfigError: the folder is evaluation data.
        MediaError: it is incomplete, or nothing in it may be used.
    """
    refuse_evaluation_data(root)
    layout = layout_of(root)
    known = read_known(root)
    found = open_dataset(root, layout)
    named = validation_names(root)
    usable = [one for one in found if one.name not in named and not is_evaluation(one.frames)]
    if not usable:
        raise MediaError(f"{root} holds evaluation sequences only; they are never trained on")
    held = len(found) - len(usable)
    notes = [Problem("evaluation", f"{held} sequences of {root} are for evaluation and were left out")] if held else []
    return [_video(root, sequence, known.get(sequence.name, {})) for sequence in usable], notes


def _video(root: Path, sequence: Sequence, known: Known) -> TeamVideo:
    height, width = read_image(sequence.frames[0]).shape[:2]
    truth = FolderTruth(sequence, width, height, known)
    return TeamVideo(
        name=sequence.name,
        origin=f"{root}/{sequence.name}",
        truth=truth,
        open=lambda: ImageFrames(sequence.frames, name=sequence.name),
    )


@dataclass(frozen=True)
class FolderTruth:
    """Annotations of a sequence of a folder; every mask there counts as drawn by a human.

    Attributes:
        sequence: frames and masks.
        width: of a frame, pixels.
        height: of a frame, pixels.
        known: objects known in a frame, where not all are.
    """

    sequence: Sequence
    width: int
    height: int
    known_in: Known

    @property
    def frame_count(self) -> int:
        """Frames of the sequence."""
        return len(self.sequence.frames)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Always empty: a folder is not searched for problems."""
        return ()

    def frames(self, include: Include = "human") -> tuple[int, ...]:
        """Annotated frames, ascending."""
        return tuple(sorted(self.sequence.annotations))

    def known(self, index: int, include: Include = "human") -> tuple[int, ...]:
        """Objects that have come in by then, but for those that the folder says are not known."""
        if index not in self.sequence.annotations:
            return ()
        entered = [object_id for object_id, first in self.sequence.first_frames.items() if first <= index]
        told = self.known_in.get(self.sequence.frames[index].stem)
        return tuple(entered if told is None else [object_id for object_id in entered if object_id in told])

    def label_map(self, index: int, include: Include = "human") -> LabelMap:
        """The mask file; void pixels are background."""
        labels, _ = self.sequence.truth_and_void(index)
        if labels.shape != (self.height, self.width):
            raise MediaError(
                f"{self.sequence.annotations[index]} is {labels.shape[1]}x{labels.shape[0]}, its frame is "
                f"{self.width}x{self.height}; export the mask at the size of the frame"
            )
        return labels
