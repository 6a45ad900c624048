"""What each mask of a run depends on, in a few letters, so that runs can tell which masks they share."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from agss_model.ranges import Presence, blocks


class Marks:
    """The mark of every frame that a run can reach: equal marks, equal masks.

    Args:
        asked: what was asked of the run, as its record keeps it; which of the frames were asked for does not matter.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        masks = {int(number): about for number, about in asked["masks"].items()}
        drawn = {number: frozenset(about["objects"]) for number, about in masks.items() if about["objects"]}
        absent = {number: frozenset(about["absent"]) for number, about in masks.items() if about["absent"]}
        presence, common = Presence(drawn, absent), base_of(asked)
        self._starts: list[int] = []
        self._blocks: list[tuple[range, str]] = []
        for block in blocks(drawn, asked["source"]["frames"], asked["direction"], absent):
            told = [(number, masks[number]) for number in block.keyframes]
            content = json.dumps([common, told, sorted(presence.gone(block.frames.start))], sort_keys=True)
            self._starts.append(block.frames.start)
            self._blocks.append((block.frames, hashlib.sha256(content.encode()).hexdigest()[:16]))

    def at(self, number: int) -> str | None:
        """The mark of a frame; None where the run does not reach it."""
        place = bisect_right(self._starts, number) - 1
        if place < 0 or number not in self._blocks[place][0]:
            return None
        return self._blocks[place][1]


def base_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked, without the masks and without which frames were wanted."""
    source = {name: value for name, value in asked["source"].items() if name not in ("from", "to")}
    return {name: value for name, value in asked.items() if name not in ("masks", "labels")} | {"source": source}


def wanted_frames(asked: Mapping[str, Any]) -> range:
    """Numbers of the frames that get masks."""
    return range(asked["source"]["from"], asked["source"]["to"] + 1)
