"""Tracking the objects of whole collections: resumable, clip by clip, one frame in memory at a time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from fiftyone.core.collections import SampleCollection

from agss_model import __version__
from agss_model.errors import AgssError, ConfigError
from agss_model.video import FrameSource, VideoFile
from agss_model.weights.fingerprint import fingerprint
from agss_model.words import plural
from fiftyone_plugin.data.authorship import NOBODY, Authors
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import readable, unfiltered
from fiftyone_plugin.data.database import DatabaseError, guarded
from fiftyone_plugin.data.fields import Field, FieldError, declare, input_field, output_field
from fiftyone_plugin.data.order import order_for, order_of, remember_order
from fiftyone_plugin.data.progress import Progress
from fiftyone_plugin.track.claims import Claim, Claims
from fiftyone_plugin.track.marks import ClipMarks
from fiftyone_plugin.track.models import load_network
from fiftyone_plugin.track.outcome import DIRECTIONS, TrackSettings, TrackSummary
from fiftyone_plugin.track.prompts import Prompts, read_frames, read_prompts
from fiftyone_plugin.track.resuming import Resumable
from fiftyone_plugin.track.writing import LabelWriter

if TYPE_CHECKING:
    from agss_model.network.base import AGSSVOS

logger = logging.getLogger(__name__)


class StopRequested(Exception):
    """Raised when somebody asked to stop."""


class ClipTaken(Exception):
    """Raised when another run has taken the clip."""


PAUSE = 1.0
"""Seconds between two looks at what other runs are at."""


class TrackingRun:
    """One run over a collection: checked when made, worked off by iterating.

    A clip's frames carry the mark of all that their masks depend on (weights, direction, what was drawn, the clip
    itself), so that a run does only what is missing, whether the one before was killed, cancelled or complete, and a
    corrected frame renews only the masks up to the next frames in which every object is drawn.
    """

    def __init__(
        self,
        collection: SampleCollection,
        settings: TrackSettings,
        network: AGSSVOS | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Check everything that can be checked without tracking.

        Args:
            collection: a dataset or view.
            settings: what to do.
            network: in eval mode; None to load `settings.model`.
            stop: asked about once a second whether to stop; what was tracked is kept.

        Raises:
            AgssError: an empty view, a field that is missing or of another type, no labels, no weights.
        """
        if settings.direction not in DIRECTIONS:
            raise ConfigError(f"direction is {settings.direction!r}; choose {', '.join(DIRECTIONS)}.")
        self.settings = settings
        order = order_for(
            collection, (settings.sort_field, settings.group_field), settings.output, settings.input_annotation_field
        )
        self.clips = find_clips(collection, *order)
        self._order = order_of(collection, order)
        self._view = readable(collection)
        self._dataset = unfiltered(self._view)
        self._input = input_field(self._view, settings.input_annotation_field)
        self._output = output_field(self._view, settings.output)
        self._check_labels()
        self._network = network if network is not None else load_network(settings.model, settings.device)
        self._weights = fingerprint(self._network)
        self._stop, self._asked = stop, time.monotonic()
        self._boxes = self._empty = 0
        self.summary = TrackSummary(len(self.clips))

    @property
    def result(self) -> dict[str, Any]:
        """What it came to, as plain values."""
        return self.summary.to_dict()

    def __iter__(self) -> Iterator[Progress]:
        """Track; stopping between two steps keeps all that was tracked.

        Raises:
            DatabaseError: the database cannot be written.
            AgssError: not one clip could be tracked.
        """
        guarded(self._declare)
        begun = 0
        for claim in self._turns():
            if claim is None:
                yield Progress(begun / len(self.clips), "waiting for other workers, which have the clips that are left")
                continue
            share, begun = begun / len(self.clips), begun + 1
            if claim.done:
                self.summary.shared += 1
                continue
            where = f"clip {begun} of {len(self.clips)}, {claim.clip.name}"
            yield Progress(share, where)
            try:
                for done, number in self._track(claim):
                    yield Progress(share + done / len(self.clips), f"{where}: frame {number + 1}")
                claim.finished = True
            except DatabaseError:
                raise
            except StopRequested:
                self.summary.stopped = True
                break
            except ClipTaken:
                self.summary.shared += 1
            except Exception as error:
                if not isinstance(error, AgssError):
                    logger.exception("tracking %s failed", claim.clip.name)
                self.summary.failed[self._unique(claim.clip)] = _reason(error)
        self._note_prompts()
        self._check_outcome()
        yield Progress(1.0, str(self.summary))

    def _turns(self) -> Iterator[Claim | None]:
        """Clips one by one, each while no other run is at it; None, now and then, while others have what is left."""
        work = [__version__, self._weights, self._network.config.to_dict(), self.settings.direction, self._input.name]
        work += [str(self.settings.adapt)] if self.settings.adapt else []
        scope = f"{self._view._dataset._doc.id} {self._output.name}"
        claims = guarded(lambda: Claims(scope, json.dumps(work)))
        left = list(self.clips)
        while left:
            others: list[Clip] = []
            for clip in left:
                claim = guarded(partial(claims.take, clip))
                if claim is None:
                    others.append(clip)
                    continue
                with claim:
                    yield claim
            if len(others) == len(left):
                yield None
                time.sleep(PAUSE)
                if self._stop():
                    self.summary.stopped = True
                    return
            left = others

    def _declare(self) -> None:
        declare(self._view._dataset, self._output)
        remember_order(self._view._dataset, self._output, self._order)

    def _unique(self, clip: Clip) -> str:
        name = f"{clip.name} (sample {clip.key})"
        return name if name not in self.summary.failed else f"{name} again"

    def _check_labels(self) -> None:
        """Whether there is anything to start from."""
        fields = {self._input} | ({self._output} if self._view.has_field(self._output.path) else set())
        if not any(self._view.count(field.labels(self._view)) for field in fields):
            raise FieldError(
                f"field {self._input.name!r} holds no label in this view; draw the objects on at least one frame of "
                "each video, or choose another field or view."
            )

    def _check_outcome(self) -> None:
        summary = self.summary
        if summary.failed and not (summary.tracked or summary.complete or summary.shared or summary.stopped):
            raise AgssError(f"nothing could be tracked. {summary}")

    def _track(self, claim: Claim) -> Generator[tuple[float, int], None, None]:
        began, clip = time.perf_counter(), claim.clip
        if len(self._dataset.select(list(clip.samples))) < len(clip.samples):
            raise AgssError("it was deleted from the dataset while this run went on; nothing is left to track.")
        with clip.open() as source:
            self._note_rate(clip, source)
            reading = time.perf_counter()
            prompts = self._prompts(clip, source)
            label_seconds = time.perf_counter() - reading
            if not prompts.drawn:
                self._check_bare(clip, prompts)
                return
            writer = LabelWriter(self._dataset, clip, self._output, prompts)
            try:
                for step in self._spans(claim, source, prompts, writer):
                    yield step
                    self._heed(claim)
            finally:  # also when the run is stopped here
                writer.flush()
                label_seconds += writer.seconds
                self.summary.frames += writer.frames
                self.summary.objects += len(prompts.objects) if writer.frames else 0
                self.summary.label_seconds += label_seconds
                self.summary.tracking_seconds += time.perf_counter() - began - label_seconds
        if writer.frames:
            self.summary.tracked += 1
        else:
            self.summary.complete += 1
        self._boxes += prompts.boxes
        self._empty += prompts.empty

    def _check_bare(self, clip: Clip, prompts: Prompts) -> None:
        """Note a clip without a label to start from.

        Raises:
            AgssError: it had one that cannot be used.
        """
        if prompts.empty:
            raise AgssError(
                f"{plural(prompts.empty, 'label')} outside the picture or without a pixel, and no other; "
                "draw inside it."
            )
        self.summary.bare.append(clip.name)

    def _prompts(self, clip: Clip, source: FrameSource) -> Prompts:
        output = self._output if self._view.has_field(self._output.path) else None
        frames = read_frames(self._view, self._dataset, clip, self._input, output)
        given = Authors.read(self._dataset, clip, self._input)
        authors = given, Authors.read(self._dataset, clip, output) if output else NOBODY
        return read_prompts(source, frames, f"{clip.key} {self._output.name}", authors)

    def _spans(
        self, claim: Claim, source: FrameSource, prompts: Prompts, writer: LabelWriter
    ) -> Generator[tuple[float, int], None, None]:
        """Track what is missing."""
        from agss_model.clips import propagate

        clip, adapt = claim.clip, self.settings.adapt
        network = [self._weights, self._network.config.to_dict(), *([adapt] if adapt else [])]
        marks = ClipMarks(clip, len(source), prompts, self.settings.direction, network)
        missing = [number for number, mark in marks.frames.items() if prompts.runs.get(number) != mark]
        done = len(marks.frames) - len(missing)
        wanted = set(missing)
        tracking = self._learned(claim, source, prompts) if missing and adapt else self._network
        for span in marks.spans(missing):
            name = f"{clip.key}-{self._output.name}-{marks.digest}"
            run = Resumable(source, tracking, span.start, name, writer.flush, prompts.away)
            results = propagate(
                source, prompts.keyframes, tracking, start=span.start, stop=span.stop,
                direction=self.settings.direction, run=run,  # type: ignore[arg-type]
            )  # fmt: skip
            for result in results:
                if result.frame_index not in wanted:
                    continue
                writer.put(result, marks.frames[result.frame_index])
                done += 1
                yield done / len(marks.frames), result.frame_index
            writer.flush()
            run.forget()

    def _learned(self, claim: Claim, source: FrameSource, prompts: Prompts) -> AGSSVOS:
        """What tracks a clip that is learned from first."""
        from fiftyone_plugin.track.learning import StoppableReport, learned_network

        def note(sentence: str) -> None:
            self.summary.notes.append(f"{claim.clip.name}: {sentence}")

        settings = self.settings
        report = StoppableReport(note, partial(self._heed, claim))
        return learned_network(settings.model, settings.device, source, prompts.keyframes, settings.adapt, report)

    def _heed(self, claim: Claim) -> None:
        if claim.lost:
            raise ClipTaken
        if time.monotonic() - self._asked > 1:
            self._asked = time.monotonic()
            if self._stop():
                raise StopRequested

    def _note_rate(self, clip: Clip, source: FrameSource) -> None:
        if isinstance(source, VideoFile) and not source.steady:
            self.summary.notes.append(
                f"{clip.name} has a variable frame rate: masks belong to the right frames, but players such as the App "
                "show frame n at n / rate seconds and so show them at the wrong moment; convert it to a constant rate "
                "with fiftyone.utils.video.reencode_video before labelling."
            )

    def _note_prompts(self) -> None:
        if self._boxes:
            self.summary.notes.append(
                f"{plural(self._boxes, 'label')} without a mask; the object was looked for in the box."
            )
        if self._empty:
            self.summary.notes.append(f"{plural(self._empty, 'label')} without a pixel in the frame left out.")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, AgssError) else f"{type(error).__name__}: {error}"


__all__ = ["DIRECTIONS", "Field", "Progress", "TrackSettings", "TrackSummary", "TrackingRun"]
