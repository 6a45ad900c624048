"""What a tracking run is asked for, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from agss_model.words import listing, plural
from fiftyone_plugin.data.progress import Summary
from fiftyone_plugin.track.models import DEFAULT

DIRECTIONS = ("both", "forward", "backward")


@dataclass(frozen=True)
class TrackSettings:
    """What to track and how.

    Attributes:
        input_annotation_field: holds what humans drew on some frames.
        output_annotation_field: gets the masks, may be the same; None for the input's name and "_propagated".
        sort_field: orders images.
        group_field: tells sequences of images apart.
        direction: "both", "forward" or "backward".
        model: name or file of weights.
        device: "auto", or as torch writes it.
        adapt: minutes in which to learn from each clip's drawings before it is tracked; 0 for not at all.
    """

    input_annotation_field: str
    output_annotation_field: str | None = None
    sort_field: str | None = None
    group_field: str | None = None
    direction: str = "both"
    model: str = DEFAULT
    device: str = "auto"
    adapt: float = 0.0

    @property
    def output(self) -> str:
        """Name of the output field."""
        return self.output_annotation_field or f"{self.input_annotation_field.removeprefix('frames.')}_propagated"


@dataclass
class TrackSummary(Summary):
    """What a run came to.

    Attributes:
        clips: that were to be tracked.
        tracked: clips that got masks now.
        complete: clips of which every mask was there already.
        shared: clips that other workers tracked meanwhile.
        bare: names of clips without a label to start from.
        failed: names of clips that could not be tracked, and why.
        frames: masks written now, in frames.
        objects: in the clips that got masks now, also in one that was stopped.
        tracking_seconds: decoding and tracking.
        label_seconds: reading and writing labels.
        notes: what else a user should know.
        stopped: whether somebody asked to stop before the end.
    """

    clips: int = 0
    tracked: int = 0
    complete: int = 0
    shared: int = 0
    bare: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    objects: int = 0
    tracking_seconds: float = 0.0
    label_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    def __str__(self) -> str:
        """The outcome in sentences."""
        parts = [self._done()]
        if self.complete:
            parts.append(f"{plural(self.complete, 'clip')} had been tracked before.")
        if self.shared:
            parts.append(f"{plural(self.shared, 'clip')} tracked by other workers meanwhile.")
        if self.bare:
            parts.append(f"{plural(len(self.bare), 'clip')} without a label to start from: {listing(self.bare)}.")
        for name, reason in self.failed.items():
            parts.append(f"Failed: {name}: {reason}")
        return " ".join([*parts, *self.notes])

    def _done(self) -> str:
        what = f"{plural(self.objects, 'object')}, {plural(self.frames, 'frame')}"
        if not self.stopped:
            return f"{plural(self.tracked, 'clip')} tracked: {what}."
        left = self.clips - self.tracked - self.complete - self.shared - len(self.bare) - len(self.failed)
        return (
            f"Stopped as asked with {left} of {plural(self.clips, 'clip')} still to do. What was tracked is kept "
            f"({what}); run it again to continue."
        )
