"""Whether the function is as accurate as the tracker it is made of: `python -m serverless.measure.accuracy --help`.

Both track the same clip from the same masks; the function is asked as CVAT asks it, frame by frame, with every state
through JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agss_model.evaluation import boundary_f, open_dataset, region_similarity
from agss_model.masks import mask_to_shape, shape_to_mask
from agss_model.masks.files import read_label_map
from agss_model.masks.labels import BoolMask, LabelMap, to_masks
from agss_model.system.environment import commit, machine, versions
from agss_model.tracking.tracker import Tracker
from agss_model.video import open_source
from serverless.function.scenes import Scenes
from serverless.function.service import answer, build_scenes
from serverless.function.settings import FunctionSettings
from serverless.local.smoke import encoded

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MeasuredClip:
    """What is tracked, and what is right.

    Attributes:
        name: of it.
        frames: reads the frames in order, (H, W, 3) uint8 RGB.
        first: (H, W) label map of the first frame.
        truths: by the number of each frame that is scored, reads the label map and the pixels that do not count.
    """

    name: str
    frames: Callable[[], Iterator[Frame]]
    first: LabelMap
    truths: Mapping[int, Callable[[], tuple[LabelMap, BoolMask]]]


@dataclass(frozen=True)
class Comparison:
    """What came out of one clip.

    Attributes:
        name: of the clip.
        tracker: J&F of `agss_model.tracking.tracker.Tracker`.
        function: J&F of the function.
        agreement: mean J of the function's masks against the tracker's, over all frames and objects.
        state_bytes: of all states of the last answer together, as JSON.
    """

    name: str
    tracker: float
    function: float
    agreement: float
    state_bytes: int


def demonstration() -> MeasuredClip:
    """The shipped clip, scored where it was drawn by hand: in its last frame."""
    from agss_model.demo_clip import FIRST, LAST, VIDEO

    source, last = open_source(VIDEO), read_label_map(LAST)
    return MeasuredClip(
        "demonstration",
        lambda: source.frames(0, None, 1),
        read_label_map(FIRST),
        {len(source) - 1: lambda: (last, np.zeros(last.shape, bool))},
    )


def annotated(root: Path, names: Iterable[str] | None) -> Iterator[MeasuredClip]:
    """Sequences of a DAVIS folder, scored as DAVIS scores them.

    Raises:
        MediaError: not such a folder, or no sequence of that name.
    """
    for sequence in open_dataset(root, "davis", list(names) if names else None):
        source = open_source(sequence.frames[0].parent)
        scored = sorted({frame for object_id in sequence.ids for frame in sequence.scored_frames(object_id)})
        yield MeasuredClip(
            sequence.name,
            lambda source=source: source.frames(0, None, 1),  # type: ignore[misc]
            sequence.truth_and_void(0)[0],
            {n: (lambda s=sequence, n=n: s.truth_and_void(n)) for n in scored},  # type: ignore[misc]
        )


def compare(clip: MeasuredClip, scenes: Scenes) -> Comparison:
    """Track a clip both ways.

    Args:
        clip: what to track.
        scenes: of the function; its network tracks alone, too.
    """
    ids, scores, agreements = sorted(to_masks(clip.first)), [], []
    tracker, function = Tracker(scenes.network), _Function(scenes, clip.first)
    for number, frame in enumerate(clip.frames()):
        if number == 0:
            tracker.add(frame, to_masks(clip.first))
            function.start(frame)
            continue
        alone, asked = tracker.step(frame).label_map, function.follow(frame)
        agreements.append(np.mean([region_similarity(asked == i, alone == i) for i in ids]))
        if number in clip.truths:
            truth, void = clip.truths[number]()
            scores.append([_score(label_map, truth, void, ids) for label_map in (alone, asked)])
    both = np.mean(scores, axis=0)
    text = len(json.dumps(function.states, separators=(",", ":")))
    return Comparison(clip.name, float(both[0]), float(both[1]), float(np.mean(agreements)), text)


class _Function:
    """A client that answers in label maps."""

    def __init__(self, scenes: Scenes, first: LabelMap) -> None:
        self._scenes, self._masks = scenes, to_masks(first)
        self._shape = first.shape
        self.states: list[object] = []

    def start(self, frame: Frame) -> None:
        shapes = [{"type": "mask", "points": mask_to_shape("mask", mask)} for mask in self._masks.values()]
        self._ask({"image": encoded(frame), "shapes": shapes, "states": []})

    def follow(self, frame: Frame) -> LabelMap:
        shapes = self._ask({"image": encoded(frame), "shapes": [None] * len(self.states), "states": self.states})
        found = np.zeros(self._shape, np.uint8)
        for object_id, shape in zip(self._masks, shapes, strict=True):
            if shape is not None:
                mask = shape_to_mask("mask", shape["points"], width=self._shape[1], height=self._shape[0])
                found[mask] = object_id
        return found

    def _ask(self, message: dict[str, object]) -> list[dict[str, list[float]] | None]:
        reply = json.loads(answer(self._scenes, json.dumps(message).encode()))
        self.states = reply["states"]
        shapes: list[dict[str, list[float]] | None] = reply["shapes"]
        return shapes


def _score(found: LabelMap, truth: LabelMap, void: BoolMask, ids: Iterable[int]) -> float:
    """J&F over the objects; one that is not there and was not found counts 1."""
    pairs = [(found == object_id, truth == object_id) for object_id in ids]
    return float(np.mean([(region_similarity(a, b, void) + boundary_f(a, b, void=void)) / 2 for a, b in pairs]))


def main() -> None:
    """Print one line for each clip."""
    parser = argparse.ArgumentParser(prog="python -m serverless.measure.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, help="DAVIS folder; without it the demonstration clip")
    parser.add_argument("--sequences", help="of it, separated by commas; all without")
    given = parser.parse_args()
    settings = FunctionSettings.from_environment()
    scenes = build_scenes(settings, lambda _: None)
    names = given.sequences.split(",") if given.sequences else None
    print("clip              tracker J&F  function J&F  agreement  states kB")
    for clip in annotated(given.data, names) if given.data else [demonstration()]:
        row = compare(clip, scenes)
        print(
            f"{row.name:16}  {row.tracker:11.4f}  {row.function:12.4f}  {row.agreement:9.4f}  "
            f"{row.state_bytes / 1000:9.0f}",
            flush=True,
        )
    print(machine(settings.device), versions(), commit())


if __name__ == "__main__":
    main()
