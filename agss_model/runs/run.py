"""A whole tracking run into a folder: checked first, continued where it stopped, finished with an overlay."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from agss_model.clips import Direction, follow, presence_of, propagate
from agss_model.engines.loading import Engine
from agss_model.errors import ConfigError
from agss_model.masks.files import by_number
from agss_model.ranges import Route, make_route, spans
from agss_model.runs.folder import RunFolder, Standing
from agss_model.runs.given.keyframes import Keyframes
from agss_model.runs.recorder import Recorder, Way
from agss_model.runs.reporting import Report
from agss_model.runs.scores import Row, read_rows
from agss_model.runs.showing import Overlay, lacking, show
from agss_model.system.environment import versions
from agss_model.system.interruption import Interruption
from agss_model.tracking.results import FrameResult
from agss_model.video.images import ImageFrames
from agss_model.video.source import FrameSource, IndexedFrames
from agss_model.words import printable

MaskNaming = Literal["numbers", "source"]


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to.

    Attributes:
        standing: what was in the folder before.
        frames: masks there are now.
        tracked: numbers of the frames that got their masks by this call.
        seconds: it took to track them.
        rows: the scores.
    """

    standing: Standing
    frames: int
    tracked: tuple[int, ...]
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
        route: frames and order.
        asked: everything that decides about the masks; a run is continued only where all of it is the same.
        overlay: what to draw the masks over.
        report: where the run speaks.
    """

    source: IndexedFrames
    keyframes: Keyframes
    engine: Engine
    folder: RunFolder
    route: Route
    asked: dict[str, Any]
    overlay: Overlay
    report: Report

    def run(self, *, overwrite: bool = False) -> RunOutcome:
        """Track, draw, and call it finished.

        Args:
            overwrite: replace the run that is in the folder, once this one is finished.

        Raises:
            AgssError: of any kind; earlier output is intact.
        """
        with self.folder.opened():
            standing = self.folder.standing(self.asked, overwrite=overwrite)
            if standing == "complete":
                return self._completed()
            if standing != "unfinished":
                self.folder.begin(self.asked, anew=overwrite)
            done = self.folder.resume(self.asked)
            missing = [number for number in self.route.frames if number not in done]
            self._announce(standing, missing)
            return self._run(standing, missing)

    def _completed(self) -> RunOutcome:
        rows = tuple(read_rows(self.folder.here.scores))
        if lacking(self.folder, self.route.frames, self.overlay):
            self._draw(rows)
        if self.folder.here.progress.exists():  # an overlay was drawn, now or by a process that was killed
            self.folder.finish(self.asked)
        return RunOutcome("complete", len(self.route.frames), (), 0.0, rows)

    def _announce(self, standing: Standing, missing: list[int]) -> None:
        done = len(self.route.frames) - len(missing)
        if standing == "unfinished":
            self.report.note(f"an unfinished run goes on; {done} of {len(self.route.frames)} frames are done.")
        elif standing == "corrected":
            again = spans(missing) or "none"
            self.report.note(f"masks differ from the earlier run's: frames {again} are tracked again, {done} stand.")
        if self.folder.here is not self.folder.settled:
            self.report.note(f"the earlier run in {self.folder.root} stays until this one is finished.")

    def _run(self, standing: Standing, missing: list[int]) -> RunOutcome:
        began, left = time.perf_counter(), frozenset(missing)
        with (
            Interruption() as stop,
            self.report.progress("tracking", len(self.route.frames), len(self.route.frames) - len(missing)) as progress,
            Recorder(self.folder.here, wide=max(self.keyframes.ids) > 255) as recorder,
        ):
            for part in self.route.parts:
                wanted = [number for number in part.frames if number in left]
                if not wanted:
                    continue
                results, way = self._fused(wanted) if part.order is None else self._along(part.order, wanted)
                for _ in recorder.keep(results, left, stop, way):
                    progress.advance()
        seconds = time.perf_counter() - began
        self.folder.publish_scores()
        rows = tuple(read_rows(self.folder.here.scores))
        self._draw(rows)
        self.folder.finish(self.asked)
        return RunOutcome(standing, len(self.route.frames), tuple(missing), seconds, rows)

    def _draw(self, rows: tuple[Row, ...]) -> None:
        show(self.source, self.route.frames, self.folder, rows, self.overlay, self.report)

    def _fused(self, wanted: list[int]) -> tuple[Iterator[FrameResult], None]:
        """The frames from both directions; of a part that was begun, the way back to what is missing is gone again."""
        keyframes = self.keyframes
        results = propagate(
            self.source, keyframes.label_maps, self.engine.network, start=wanted[0], stop=wanted[-1] + 1,
            direction="both", absent=keyframes.absent, flow=self.engine.flow,
        )  # fmt: skip
        return results, None

    def _along(self, order: range, wanted: list[int]) -> tuple[Iterator[FrameResult], Way]:
        """The frames by one tracker, from the nearest state on."""
        maps, absent = self.keyframes.label_maps, self.keyframes.absent
        given = {number: partial(maps.__getitem__, number) for number in maps}
        states = self.folder.states(order, self.asked)
        places = sorted(map(order.index, wanted))
        tracker, begun = states.before(places[0], self.engine)
        frames = order[begun : places[-1] + 1]
        results = follow(self.source, given, tracker, frames, presence_of(maps, absent).gone)
        return results, Way(tracker, frames, states, maps.keys() | absent.keys(), begun)


def make_run(
    source: IndexedFrames,
    source_path: Path,
    keyframes: Keyframes,
    engine: Engine,
    out: Path,
    report: Report,
    *,
    direction: Direction = "forward",
    first: int | None = None,
    last: int | None = None,
    overlay: Overlay = "video",
    names: MaskNaming = "numbers",
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
        overlay: what to draw the masks over: a video, one image per frame, or nothing.
        names: call masks by frame numbers, or like the images of the clip.

    Raises:
        MediaError: frames outside the clip.
        MaskError: no mask from which the frames asked for could be reached.
    """
    route = make_route(keyframes.drawn, len(source), direction, first, last, keyframes.absent)
    asked = {
        "source": {**_identity(source, source_path), "from": route.frames.start, "to": route.frames.stop - 1},
        "masks": keyframes.told(),
        "labels": {str(object_id): label for object_id, label in sorted(keyframes.labels.items())},
        "direction": direction,
        "names": names,
        "weights": {"name": engine.weights, "parameters": engine.fingerprint()},
        "config": engine.network.config.to_dict(),
        "device": engine.device.type,
        "engine": engine.name,
        "versions": versions(),
    }
    return Run(source, keyframes, engine, RunFolder(out, _naming(source, names)), route, asked, overlay, report)


def _naming(source: FrameSource, names: MaskNaming) -> Callable[[int], str]:
    if names == "numbers":
        return by_number
    if not isinstance(source, ImageFrames):
        raise ConfigError(f"--names source takes the names of images, but {source.name} is a video; leave it out")
    paths = source.paths
    if odd := next((path.name for path in paths if not path.stem.isprintable()), None):
        raise ConfigError(f"image {printable(odd)} has a name that masks cannot take; rename it, or leave --names out")
    return lambda number: paths[number].stem


def _identity(source: FrameSource, path: Path) -> dict[str, Any]:
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    return {
        "name": path.name,
        "bytes": sum(file.stat().st_size for file in files),
        "frames": len(source),
        "size": list(source.size),
        "first_frame": hashlib.sha256(source.read(0).tobytes()).hexdigest(),
    }
