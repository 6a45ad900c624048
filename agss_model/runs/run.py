"""A whole tracking run into a folder: checked first, continued where it stopped, finished with an overlay."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agss_model.clips import Direction, Plan, follow, make_plan, propagate
from agss_model.engines.loading import Engine
from agss_model.environment import versions
from agss_model.errors import WeightsError
from agss_model.masks.files import read_label_map
from agss_model.overlay import draw_overlay
from agss_model.runs.folder import RunFolder, Standing
from agss_model.runs.interruption import Interruption
from agss_model.runs.keyframes import Keyframes
from agss_model.runs.recorder import Recorder
from agss_model.runs.reporting import Report
from agss_model.runs.scores import Row, read_rows
from agss_model.tracker import Tracker
from agss_model.video.prefetch import prefetch
from agss_model.video.source import FrameSource
from agss_model.video.writer import VideoWriter

SAVE_EVERY = 50  # frames between two states of the tracker on the disk


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        standing: what was in the folder before.
        frames: masks there are now.
        tracked: frames tracked by this call.
        seconds: it took to track them.
        rows: the scores.
    """

    standing: Standing
    frames: int
    tracked: int
    seconds: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Run:
    """One run, checked.

    Attributes:
        source: the clip.
        keyframes: masks drawn by a person.
        engine: network and flow.
        folder: where output goes.
        plan: frames and order.
        asked: everything that decides about the masks; a run is continued only where all of it is the same.
        overlay: whether to make the overlay.
        report: where the run speaks.
    """

    source: FrameSource
    keyframes: Keyframes
    engine: Engine
    folder: RunFolder
    plan: Plan
    asked: dict[str, Any]
    overlay: bool
    report: Report

    def run(self, *, overwrite: bool = False) -> Outcome:
        """Track, draw, and call it finished.

        Args:
            overwrite: replace the run that is in the folder, once this one is finished.

        Raises:
            AgssError: of any kind; earlier output is intact.
        """
        with self.folder.opened():
            standing = self.folder.standing(self.asked, self.plan.frames, overwrite=overwrite)
            if standing == "complete":
                return self._completed()
            if standing == "fresh":
                self.folder.begin(self.asked)
            if self.folder.here is not self.folder.settled:
                self.report.note(f"the earlier run in {self.folder.root} stays until this one is finished.")
            return self._run(standing)

    def _completed(self) -> Outcome:
        rows = tuple(read_rows(self.folder.here.scores))
        if self.overlay and not self.folder.here.overlay.exists():
            self._draw(rows)
            self.folder.finish(self.asked)
        return Outcome("complete", len(self.plan.frames), 0, 0.0, rows)

    def _run(self, standing: Standing) -> Outcome:
        began = time.perf_counter()
        tracked = self._fused() if self.plan.order is None else self._tracked(self.plan.order, standing)
        seconds = time.perf_counter() - began
        self.folder.publish_scores()
        rows = tuple(read_rows(self.folder.here.scores))
        if self.overlay:
            self._draw(rows)
        self.folder.finish(self.asked)
        return Outcome(standing, len(self.plan.frames), tracked, seconds, rows)

    def _tracked(self, order: range, standing: Standing) -> int:
        """Write masks and log with one tracker; how many frames it went through now."""
        tracker, left = self._resumed(order) if standing == "unfinished" else (self.engine.tracker(), order)
        maps = self.keyframes.label_maps
        given = {number: partial(maps.__getitem__, number) for number in maps}
        with (
            Interruption() as stop,
            self.report.progress("tracking", len(order), len(order) - len(left)) as progress,
            Recorder(self.folder.here) as recorder,
        ):
            for tracked, result in enumerate(follow(self.source, given, tracker, left), 1):
                if result.frame_index in self.plan.frames:
                    recorder.put(result)
                if stop.asked or tracked == len(left) or tracked % SAVE_EVERY == 0:
                    recorder.flush()
                    tracker.save(self.folder.here.state)
                if stop.asked:
                    raise KeyboardInterrupt
                progress.advance()
        return len(left)

    def _resumed(self, order: range) -> tuple[Tracker, range]:
        """The tracker of an unfinished run and the frames left; from the start where its traces are incomplete."""
        try:
            tracker = Tracker.load(self.folder.here.state, self.engine.network, self.engine.flow)
            number = tracker.frame_index
        except WeightsError:
            number = None
        if number is not None and number in order:
            place = order.index(number) + 1
            if self.folder.keep_rows([n for n in order[:place] if n in self.plan.frames]):
                self.report.note(f"continuing an unfinished run after frame {number}.")
                return tracker, order[place:]
        self.report.note("an unfinished run had not come far enough to be continued; it starts again.")
        self.folder.restart()
        return self.engine.tracker(), order

    def _fused(self) -> int:
        """Write masks and log from both directions, always from the start: nothing of it is kept between calls."""
        self.folder.restart()
        frames = self.plan.frames
        results = propagate(
            self.source, self.keyframes.label_maps, self.engine.network, start=frames.start, stop=frames.stop,
            direction="both", flow=self.engine.flow,
        )  # fmt: skip
        with (
            self.report.progress("tracking both ways", len(frames)) as progress,
            Recorder(self.folder.here) as recorder,
        ):
            for result in results:
                recorder.put(result)
                progress.advance()
        return len(frames)

    def _draw(self, rows: tuple[Row, ...]) -> None:
        """The overlay, from the masks on the disk: the same whether the run was interrupted or not."""
        by_frame: dict[int, list[Row]] = {}
        for row in rows:
            by_frame.setdefault(row.frame, []).append(row)
        frames = self.plan.frames
        images = prefetch(self.source.frames(frames.start, frames.stop))
        with (
            self.folder.overlay() as place,
            VideoWriter(place, min(self.source.fps, 1000.0), self.source.size) as video,
            self.report.progress("drawing the overlay", len(frames)) as progress,
        ):
            for number, image in zip(frames, images, strict=True):
                here = by_frame.get(number, [])
                scores = {row.object_id: row.score for row in here if not row.human}
                lost = [row.object_id for row in here if row.lost]
                video.write(draw_overlay(image, read_label_map(self.folder.here.mask(number)), scores, lost))
                progress.advance()


def make_run(
    source: FrameSource,
    source_path: Path,
    keyframes: Keyframes,
    engine: Engine,
    out: Path,
    report: Report,
    *,
    direction: Direction = "forward",
    first: int | None = None,
    last: int | None = None,
    overlay: bool = True,
) -> Run:
    """Check a run and say what it is; nothing is written.

    Args:
        source: the clip.
        source_path: where it was opened.
        keyframes: masks that a person drew.
        engine: network and flow.
        out: output folder.
        report: where the run speaks.
        direction: which way to track.
        first: first frame that gets a mask, None for the first of the clip.
        last: last frame that gets a mask, None for the last of the clip.
        overlay: whether to make the overlay.

    Raises:
        MediaError: frames outside the clip.
        MaskError: no mask from which the frames asked for could be reached.
    """
    plan = make_plan(sorted(keyframes.label_maps), len(source), direction, first, last)
    asked = {
        "source": {**_identity(source, source_path), "from": plan.frames.start, "to": plan.frames.stop - 1},
        "masks": {str(number): digest for number, digest in keyframes.sha256.items()},
        "direction": direction,
        "weights": {"name": engine.weights, "parameters": engine.fingerprint()},
        "config": engine.network.config.to_dict(),
        "device": engine.device.type,
        "engine": engine.name,
        "versions": versions(),
    }
    return Run(source, keyframes, engine, RunFolder(out), plan, asked, overlay, report)


def _identity(source: FrameSource, path: Path) -> dict[str, Any]:
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    return {
        "name": path.name,
        "bytes": sum(file.stat().st_size for file in files),
        "frames": len(source),
        "size": list(source.size),
        "first_frame": hashlib.sha256(source.read(0).tobytes()).hexdigest(),
    }
