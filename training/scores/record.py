"""What a tracker running freely was told about its masks, and how good they really were."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from agss_model.engines.loading import Engine
from agss_model.errors import MediaError
from agss_model.evaluation import Sequence, region_similarity
from agss_model.files import explained, replacing
from agss_model.masks.labels import BoolMask, LabelMap, to_masks
from agss_model.tracking.clues import NAMES
from agss_model.video.images import read_image

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Lesson:
    """One clip to run freely over.

    Attributes:
        name: of the clip; lessons cut from the same material share what stands before the first "+".
        frames: how many.
        picture: from a frame number to (H, W, 3) uint8 RGB.
        truth: from a frame number to (H, W) label map and pixels that do not count; None where nothing is known.
        given: frame number -> label map of the objects that are given there.
    """

    name: str
    frames: int
    picture: Callable[[int], Picture]
    truth: Callable[[int], tuple[LabelMap, BoolMask] | None]
    given: Mapping[int, LabelMap]


@dataclass(frozen=True)
class Table:
    """One row for every object and frame that was tracked and can be judged.

    Attributes:
        clues: (R, len(NAMES)) float32.
        iou: (R,) float32 in [0, 1]; not a number where the object is neither there nor found.
        frame: (R,) int32.
        object_id: (R,) int32.
        score: (R,) float32, what the tracker said.
        lost: (R,) bool.
    """

    clues: npt.NDArray[np.float32]
    iou: npt.NDArray[np.float32]
    frame: npt.NDArray[np.int32]
    object_id: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    lost: npt.NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Write the table, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        with explained(path), replacing(path) as part, part.open("wb") as file:
            np.savez(file, names=np.array(NAMES), **vars(self))

    @classmethod
    def load(cls, path: Path) -> Table | None:
        """What `save` wrote; None where clues are missing that there are today.

        Raises:
            MediaError: the file is damaged.
        """
        try:
            with np.load(path) as data:
                names = data["names"].tolist()
                if not set(NAMES) <= set(names):
                    return None
                columns = {name: data[name] for name in cls.__dataclass_fields__}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise MediaError(f"{path} is damaged ({error}); delete it and run collect again.") from error
        return cls(**columns | {"clues": columns["clues"][:, [names.index(name) for name in NAMES]]})


def of_sequence(sequence: Sequence, *, backwards: bool = False) -> Lesson:
    """A sequence as a lesson: each object from its first mask on, or, backward, from its last."""
    last = len(sequence.frames) - 1

    def number(index: int) -> int:
        return last - index if backwards else index

    def truth(index: int) -> tuple[LabelMap, BoolMask] | None:
        place = number(index)
        return sequence.truth_and_void(place) if place in sequence.annotations else None

    given: dict[int, LabelMap] = {}
    seen: set[int] = set()
    for index in range(last + 1):
        if (told := truth(index)) is not None:
            entering = {i for i in np.unique(told[0]).tolist() if i} - seen
            if entering:
                given[index] = np.where(np.isin(told[0], list(entering)), told[0], 0).astype(told[0].dtype)
                seen |= entering
    return Lesson(
        name=sequence.name + ("+backwards" if backwards else ""),
        frames=last + 1,
        picture=lambda index: read_image(sequence.frames[number(index)]),
        truth=truth,
        given=given,
    )


def run_freely(lesson: Lesson, engine: Engine) -> Table:
    """Track a clip without any help, and say how it went."""
    tracker = engine.tracker()
    tracker.observed = True
    rows: list[tuple[npt.NDArray[np.float32], float, int, int, float, bool]] = []
    for index in range(lesson.frames):
        if not tracker.object_ids and index not in lesson.given:
            continue
        frame = lesson.picture(index)
        entering = to_masks(lesson.given[index]) if index in lesson.given else {}
        result = tracker.step(frame, index) if tracker.object_ids else None
        clues, told = tracker.clues, lesson.truth(index)
        if result is not None and told is not None and clues is not None:
            for slot, object_id in enumerate(result.object_ids):
                found, true = result.label_map == object_id, told[0] == object_id
                iou = region_similarity(found, true, told[1]) if (found | true).any() else np.nan
                about = index, object_id, result.scores[object_id], object_id in result.lost
                rows.append((clues[slot].cpu().numpy(), iou, *about))
        if entering:
            tracker.add(frame, entering, index)
    clues_, ious, frames, ids, scores, lost = zip(*rows, strict=True) if rows else ((),) * 6
    return Table(
        np.array(clues_, np.float32).reshape(-1, len(NAMES)),
        np.array(ious, np.float32),
        np.array(frames, np.int32),
        np.array(ids, np.int32),
        np.array(scores, np.float32),
        np.array(lost, np.bool_),
    )
