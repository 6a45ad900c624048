"""What each frame's masks depend on, as a mark that is written beside them: a run does what has another one."""

from __future__ import annotations

import hashlib
import json
from typing import cast

from agss_model import __version__
from agss_model.clips import Block, Direction, blocks
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.track.prompts import Prompts


class ClipMarks:
    """Marks of one clip.

    Attributes:
        frames: mark by number, for each frame that gets masks.
    """

    def __init__(self, clip: Clip, count: int, prompts: Prompts, direction: str, network: object) -> None:
        """Work them out.

        Args:
            clip: which frames get masks.
            count: frames of the whole video.
            prompts: what a person drew and ended.
            direction: of tracking.
            network: plain values that change with weights and settings.
        """
        self._direction = cast("Direction", direction)
        shown = {number: frozenset(prompts.drawn[number]) for number in prompts.drawn}
        self._blocks: list[Block] = blocks(shown, count, self._direction)
        self.frames: dict[int, str] = {}
        ends = {n: sorted(prompts.objects[i].instance for i in ids) for n, ids in prompts.ends.items() if ids}
        common = [__version__, network, direction, count, prompts.size]
        for block in self._blocks:
            reached = [n for n in sorted(ends) if n in block.frames or direction != "both"]
            depends = [(n, prompts.digest(n)) for n in block.keyframes] + [(n, " ".join(ends[n])) for n in reached]
            mark = hashlib.sha256(json.dumps([common, depends]).encode()).hexdigest()[:16]
            self.frames |= dict.fromkeys(filter(clip.covers, block.frames), mark)

    @property
    def digest(self) -> str:
        """Changes with every mark."""
        return hashlib.sha256("".join(self.frames.values()).encode()).hexdigest()[:16]

    def spans(self, missing: list[int]) -> list[range]:
        """What to track in one go: everything in one direction, neighbouring blocks both ways.

        Args:
            missing: numbers of frames.
        """
        if not missing:
            return []
        if self._direction != "both":
            return [range(min(missing), max(missing) + 1)]
        found: list[range] = []
        for block in self._blocks:
            here = sorted(number for number in missing if number in block.frames)
            if not here:
                continue
            if found and found[-1].stop == here[0]:
                found[-1] = range(found[-1].start, here[-1] + 1)
            else:
                found.append(range(here[0], here[-1] + 1))
        return found
