"""Going on within a clip: the tracker's state on the disk, in case the process ends.

Labels in the database say which frames are done; without a state, tracking has to go again from the last frame in which
every object was drawn, only to know what the tracker knew. A state is a shortcut and no more: masks are the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone.constants as foc
import numpy as np

from agss_model.errors import OutputError, WeightsError
from agss_model.masks.labels import LabelMap, to_masks
from agss_model.tracking.results import FrameResult
from agss_model.video import FrameSource, prefetch

if TYPE_CHECKING:
    from agss_model.network.base import AGSSVOS
    from agss_model.tracking.tracker import Tracker

logger = logging.getLogger(__name__)
SAVE_EVERY = 15.0  # seconds
KEPT_FOR = 14 * 24 * 3600.0  # seconds, of runs that nobody continued


class Resumable:
    """Tracks along frame numbers, as `agss_model.clips` asks for it, and keeps the state of ascending passes."""

    def __init__(
        self,
        source: FrameSource,
        network: AGSSVOS,
        wanted: int,
        name: str,
        flush: Callable[[], None],
        away: Callable[[int], frozenset[int]] = lambda _: frozenset(),
    ) -> None:
        """Nothing is tracked yet.

        Args:
            source: the clip.
            network: in eval mode.
            wanted: frame before which results are not needed.
            name: of the state; another one as soon as anything changes on which a mask of the clip depends.
            flush: writes the results given out so far; called before the state is written.
            away: objects that are not there in a frame, because somebody said so.
        """
        self._source, self._network, self._wanted, self._flush, self._away = source, network, wanted, flush, away
        self._folder, self._name = Path(foc.FIFTYONE_CONFIG_DIR) / "agss-vos", name

    def __call__(self, keyframes: Mapping[int, LabelMap], numbers: range, ahead: int | None) -> Iterator[FrameResult]:
        """See `agss_model.clips.Run`; results of frames that are passed over are empty."""
        path = self._folder / f"{self._name}-{numbers.start}.state"
        tracker, left = self._restored(path, numbers)
        for number in range(numbers.start, left.start, numbers.step):
            yield self._nothing(number)
        fresh = left == numbers
        other = self._source.read(ahead) if fresh and ahead is not None else None
        saved = time.monotonic()
        frames = prefetch(self._source.frames(left.start, left.stop if left.stop >= 0 else None, left.step))
        for number, frame in zip(left, frames, strict=True):
            masks = to_masks(keyframes[number]) if number in keyframes else {}
            if leaving := self._away(number) & {*tracker.object_ids}:
                tracker.remove(leaving)
            if masks:
                yield tracker.add(frame, masks, number)
            else:
                yield tracker.step(frame, number) if tracker.object_ids else self._nothing(number)
            if number == numbers.start and ahead is not None and other is not None and tracker.object_ids:
                tracker.add_reference(other, to_masks(keyframes[ahead]), ahead)
            if numbers.step > 0 and time.monotonic() - saved > SAVE_EVERY:
                self._save(tracker, path)
                saved = time.monotonic()

    def forget(self) -> None:
        """Delete the states; the clip is done."""
        for path in self._folder.glob(f"{self._name}-*.state"):
            path.unlink(missing_ok=True)

    def _restored(self, path: Path, numbers: range) -> tuple[Tracker, range]:
        from agss_model.tracking.tracker import Tracker

        if numbers.step > 0 and path.is_file():
            try:
                tracker = Tracker.load(path, self._network)
            except WeightsError:  # cut off or of another version: the long way
                tracker = Tracker(self._network)
            number = tracker.frame_index
            if number is not None and number in numbers and number < self._wanted and number < numbers[-1]:
                return tracker, numbers[numbers.index(number) + 1 :]
        return Tracker(self._network), numbers

    def _save(self, tracker: Tracker, path: Path) -> None:
        self._flush()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            tracker.save(path)
            for old in self._folder.glob("*.state"):
                if time.time() - old.stat().st_mtime > KEPT_FOR:
                    old.unlink(missing_ok=True)
        except (OSError, OutputError):  # a shortcut less
            logger.warning("the state of the tracker cannot be kept in %s", self._folder)

    def _nothing(self, number: int) -> FrameResult:
        return FrameResult(number, (), np.zeros(self._source.size[::-1], np.uint8), {})
