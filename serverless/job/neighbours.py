"""What masks say of the frames beside theirs: where one of ours was written too, so that its absence is a deletion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from agss_model.cvat.authorship import NEXT, PREVIOUS, near_of, sign_mask
from serverless.job.objects import Key, Place, place_of
from serverless.job.plan import JobPlan

Json = dict[str, Any]


class Neighbours:
    """Where masks of ours are, as far as a run has settled it.

    Args:
        plan: what is done. Masks of frames that it does not come to stay as they are.
    """

    def __init__(self, plan: JobPlan) -> None:
        self._names, self._deleted = plan.info.names, plan.deleted
        self._frames = tuple(plan.info.frames(None, None))
        self._places: dict[int | None, int] = {frame: row for row, frame in enumerate(self._frames)}
        asked = frozenset(plan.frames)
        masks = map(place_of, plan.annotations.own_shapes)
        self._beyond = frozenset(mask for mask in masks if mask[0] not in asked)
        self._there: set[Place] = set(self._beyond)

    def restart(self) -> None:
        """Nothing of the run is written yet."""
        self._there = set(self._beyond)

    def add(self, masks: Iterable[Place]) -> None:
        """These are written, by frame and object."""
        self._there.update(masks)

    def near(self, frame: int, key: Key) -> int:
        """What a mask of an object says, see `sign_mask`."""
        return sum(bit for bit, beside in self._beside(frame) if self._is_told(beside, key))

    def restated(self, block: Iterable[int], keys: Collection[Key]) -> Callable[[Json], Json]:
        """What becomes of masks beside a block of frames that was settled just now.

        Args:
            block: the frames.
            keys: objects that are written as masks.

        Returns:
            From a mask to what it is to be: itself where it is right already.
        """
        settled = frozenset(block)

        def restated(mask: Json) -> Json:
            frame, key = place_of(mask)
            sides = [(bit, beside) for bit, beside in self._beside(frame) if beside in settled and key in keys]
            if not sides:
                return mask
            before = near = near_of(mask)
            for bit, beside in sides:
                near = near | bit if self._is_told(beside, key) else near & ~bit
            return mask if near == before else sign_mask(mask, self._names, near)

        return restated

    def _beside(self, frame: int | None) -> Iterator[tuple[int, int]]:
        row = self._places.get(frame)
        if row is None:
            return
        for bit, at in ((PREVIOUS, row - 1), (NEXT, row + 1)):
            if 0 <= at < len(self._frames):
                yield bit, self._frames[at]

    def _is_told(self, frame: int, key: Key) -> bool:
        return (frame, key) in self._there or frame in self._deleted.get(key, ())
