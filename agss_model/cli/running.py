"""Driving a tracker through a clip, for every command that does so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from agss_model.masks.labels import LabelMap, to_masks
from agss_model.results import FrameResult
from agss_model.tracker import Tracker
from agss_model.video.prefetch import prefetch
from agss_model.video.source import FrameSource


def follow(
    source: FrameSource, keyframes: Mapping[int, Callable[[], LabelMap]], tracker: Tracker, numbers: range
) -> Iterator[FrameResult]:
    """Track along frame numbers; frames are decoded ahead in a thread.

    Args:
        source: the clip.
        keyframes: for frames with masks, a function that gives the label map.
        tracker: fresh, or restored to the frame before `numbers`.
        numbers: frames in the order of tracking; may fall.
    """
    if not numbers:
        return
    frames = prefetch(source.frames(numbers.start, numbers.stop if numbers.stop >= 0 else None, numbers.step))
    for number, frame in zip(numbers, frames, strict=True):
        masks = to_masks(keyframes[number]()) if number in keyframes else {}
        if masks:
            yield tracker.add(frame, masks, number)
        elif tracker.object_ids:
            yield tracker.step(frame, number)
        else:
            yield FrameResult(number, (), np.zeros(frame.shape[:2], np.uint8), {})


class Interruption:
    """Turns the first Ctrl-C into a flag, so that work can stop after a whole frame; the second stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
