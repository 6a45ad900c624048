"""What the App shows: a clip, and the way to one of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import every_slice, flat
from fiftyone_plugin.data.order import known_order


@dataclass(frozen=True)
class ShownClip:
    """What the panel is about.

    Attributes:
        id: of what the App shows: a sample, or a part of a video in views of clips, such as the review queue.
        clip: all of it.
        played: images that the App shows as one sequence, page by page or played.
        support: first and last frame, from 1, of the part of the video that is played; None for all of it.
    """

    id: str
    clip: Clip
    played: bool = False
    support: tuple[int, int] | None = None

    def go(self, ctx: foo.ExecutionContext, frame: int) -> None:
        """Show a frame, counted from 1, opening the clip if it is not."""
        if not self.clip.is_video and not self.played:
            ctx.ops.open_sample(id=self.clip.samples[frame - 1])
            return
        if not ctx.current_sample:
            ctx.ops.open_sample(id=self.id)
        first, last = self.support or (frame, frame)
        if not first <= frame <= last:
            ctx.ops.notify(f"Frame {frame} is not in this clip, which shows frames {first} to {last} of the video.")
            return
        of_images = {} if self.clip.is_video else {"sample": self.clip.samples[frame - 1]}
        ctx.trigger(f"{PLUGIN}/go_to_frame", {"frame_number": frame, **of_images})


def in_groups(ctx: foo.ExecutionContext) -> bool:
    """Whether what is opened is a group, of which one sample is looked at."""
    return "group" in (ctx.view.media_type, ctx.dataset.media_type)


def shown_in(ctx: foo.ExecutionContext, field: str | None, looked: str | None = None) -> ShownClip | None:
    """What is open, else selected, else first; None where that is nothing, or was deleted.

    Args:
        ctx: of the App.
        field: with the tracks.
        looked: the sample of an open group that is looked at, which `ctx` does not know.

    Raises:
        AgssError: images that make no sequence.
    """
    view = ctx.view
    shown = looked or ctx.current_sample or next(iter(ctx.selected or ()), None)
    if shown is None and len(view):
        shown = view.first().id
    if shown is None or field is None:
        return None
    if _is_video(ctx.dataset, shown):
        sample = shown
        if any(getattr(view, kind, False) for kind in ("_is_clips", "_is_frames", "_is_patches")):
            sample = next(iter(view.select(shown).values("sample_id")), None)
        paths = every_slice(ctx.dataset, "video").select(sample).values("filepath") if sample else []
        support = view.select(shown).values("support")[0] if sample and getattr(view, "_is_clips", False) else None
        clip = Clip(Path(paths[0]).name, (sample,), (paths[0],), True) if paths else None
        return ShownClip(shown, clip, support=tuple(support) if support else None) if clip else None
    played = bool(getattr(view, "_is_dynamic_groups", False))
    clips = find_clips(view) if played else find_clips(ctx.dataset, *known_order(ctx.dataset, field))
    return next((ShownClip(shown, clip, played) for clip in clips if shown in clip.samples), None)


def _is_video(dataset: fo.Dataset, shown: str) -> bool:
    """Whether what is shown is of a video, also where the grid shows a slice of images."""
    if dataset.media_type != "group":
        return bool(dataset.media_type == "video")
    return bool(len(every_slice(dataset, "video").select(shown)) or flat(dataset).media_type == "video")
