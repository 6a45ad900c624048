"""Track all objects of a CVAT job: block by block, writing back, and on where an interrupted run stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agss_model.cli.console import FrameProgress
from agss_model.cvat.server.client import CvatError, Server
from agss_model.masks.labels import object_ids
from agss_model.masks.rle import encode_cvat_mask
from agss_model.ranges import RangePart, make_route
from agss_model.runs.scores import Row, rows_of
from agss_model.system.interruption import Interruption
from agss_model.tracking.results import FrameResult
from serverless.job.drawn import Boxes, DrawnKeyframes
from serverless.job.ledger import Ledger, TrackedMask
from serverless.job.neighbours import Neighbours
from serverless.job.objects import Target, origin_of
from serverless.job.plan import JobPlan, make_plan, occupied, resolve
from serverless.job.read import read_annotations
from serverless.job.track import Absent, JobFrames, Tracking
from serverless.job.writing.making import Maker
from serverless.job.writing.tracks import make_tracks
from serverless.job.writing.write import JobWriter

BLOCK = 25  # frames between two writes


@dataclass(frozen=True)
class JobOutcome:
    """What a run came to.

    Attributes:
        targets: the objects.
        rows: scores of all frames.
        created: shapes and tracks written by this call.
        masks: how many of them are masks.
        removed: earlier ones of ours that were replaced.
        changed: tracks of people that got keyframes.
        grouped: shapes and tracks of people that got a group.
        tracked: frames that this call went through.
        notes: sentences for the user.
    """

    targets: tuple[Target, ...]
    rows: tuple[Row, ...]
    created: int
    masks: int
    removed: int
    changed: int
    grouped: int
    tracked: int
    notes: tuple[str, ...]


def run_job(server: Server, plan: JobPlan, tracking: Tracking, ledger: Ledger, model: dict[str, Any]) -> JobOutcome:
    """Do what was planned; a run that was interrupted is continued.

    Args:
        server: where the job is.
        plan: from `make_plan`.
        tracking: what tracks.
        ledger: the record of this job, held by this process.
        model: everything about weights or function that decides about the masks.

    Raises:
        AgssError: of any kind; the same command continues.
        KeyboardInterrupt: it was interrupted; the same command continues.
    """
    boxes = Boxes(JobFrames(server, plan.info).picture)
    notes = resolve(plan, tracking, boxes)
    plan, grouped = _with_groups(server, plan, ledger)
    targets = plan.targets()
    keyframes = plan.keyframes(targets, boxes)
    absent = plan.absent(targets)
    drawn = {position: frozenset(object_ids(keyframes[position])) for position in keyframes}
    parts = make_route(drawn, len(plan.frames), plan.asked.direction, absent=absent).parts
    resumed = ledger.begin(_fingerprint(server, plan, targets, model))
    if resumed:
        notes.append("an unfinished run is continued.")
    writer = JobWriter(server, plan.info, plan.annotations, ledger)
    runner = _RouteRunner(plan, targets, keyframes, absent, tracking, ledger, writer)
    runner.all_parts(parts, resumed=resumed)
    notes += _finish(plan, targets, parts, writer, ledger)
    rows = tuple(found.row for found in ledger.results())
    counts = writer.created, writer.masks, writer.removed, writer.changed, grouped, len(runner.tracked)
    return JobOutcome(targets, rows, *counts, (*notes, *keyframes.notes()))


def _with_groups(server: Server, plan: JobPlan, ledger: Ledger) -> tuple[JobPlan, int]:
    """Write the groups that were found to the drawings themselves, so that any machine and any export knows them.

    Returns:
        The plan for what is there then, and how many drawings got a group.
    """
    drawing = plan.groups.drawing
    if not drawing:
        return plan, 0
    writer = JobWriter(server, plan.info, plan.annotations, ledger)
    for item in (*plan.annotations.shapes, *plan.annotations.tracks):
        group = drawing.get(origin_of(item))
        if group and not item.get("group"):
            writer.add_to(item, {**item, "group": group})
    annotations = read_annotations(server, plan.info.job, plan.info.names)
    return make_plan(server, plan.info, annotations, ledger, plan.asked), writer.changed


class _RouteRunner:
    """Goes through the parts of a route and hands over blocks of frames."""

    def __init__(
        self,
        plan: JobPlan,
        targets: Sequence[Target],
        keyframes: DrawnKeyframes,
        absent: Absent,
        tracking: Tracking,
        ledger: Ledger,
        writer: JobWriter,
    ) -> None:
        self.plan, self.targets, self.keyframes = plan, {t.number: t for t in targets}, keyframes
        self.absent, self.tracking, self.ledger, self.writer = absent, tracking, ledger, writer
        self.maker = Maker(plan.info, plan.asked.direction == "backward")
        self.untouchable = plan.untouchable()
        self.forms = {target.number: plan.form(target) for target in targets}
        self.tracked: set[int] = set()
        self._masked = {self.targets[number].key for number, form in self.forms.items() if form == "mask"}
        self._neighbours = Neighbours(plan)
        self.parts: Sequence[RangePart] = ()

    def all_parts(self, parts: Sequence[RangePart], *, resumed: bool) -> None:
        """Track what is left of all parts."""
        self.parts = parts
        total = sum(len(part.order or part.frames) for part in parts)
        progress = self.ledger.progress
        done = sum(len(part.order or part.frames) for part in parts[: progress.part]) + progress.steps
        with Interruption() as stop, FrameProgress("tracking", total, done) as bar:
            for number in range(progress.part, len(parts)):
                try:
                    self._part(number, parts[number], stop, bar)
                except CvatError as error:
                    if error.status != 400 or not (resumed and self.ledger.progress.steps):
                        raise
                    self.ledger.again()  # the function's states have expired
                    self._part(number, parts[number], stop, bar)
                resumed = False

    def _part(self, number: int, part: RangePart, stop: Interruption, bar: FrameProgress) -> None:
        steps = self._start(number, part)
        order = part.order[steps:] if part.order is not None else part.frames
        if part.order is None:
            results = self.tracking.both(self.keyframes, self.absent, order.start, order.stop)
        else:
            results = self.tracking.follow(self.keyframes, self.absent, order)
        for block in _blocks(_counted(results, bar), stop):
            self._hand_over([result for result in block if result.frame_index in part.frames])
            steps += len(block)
            if part.order is not None and steps < len(part.order):
                self.tracking.save(self.ledger.tracker)
                self.ledger.advance(number, steps)
            if stop.asked:
                raise KeyboardInterrupt
        self.ledger.advance(number + 1, 0)

    def _start(self, number: int, part: RangePart) -> int:
        """Steps of this part that are done, with the tracker as it was after them."""
        steps = self.ledger.progress.steps
        if steps and part.order is not None and self.tracking.restore(self.ledger.tracker, part.order[steps - 1]):
            self._recall(number, part.order[:steps])
            return steps
        if self.ledger.progress.size != self.ledger.progress.start:
            self.ledger.again()
        self.tracking.restart()
        self._recall(number, range(0))
        return 0

    def _recall(self, number: int, done: range) -> None:
        """Which masks of this run there are, after an interruption too."""
        positions = {*done, *(position for part in self.parts[:number] for position in part.frames)}
        frames = {self.plan.frames[position] for position in positions}
        self._neighbours.restart()
        self._remember(one for one in self.ledger.results() if one.row.frame in frames)

    def _remember(self, found: Iterable[TrackedMask]) -> list[TrackedMask]:
        """Those of them that are written as masks."""
        masks = [one for one in found if one.points is not None and self.forms[one.row.object_id] == "mask"]
        self._neighbours.add((one.row.frame, self.targets[one.row.object_id].key) for one in masks)
        return masks

    def _hand_over(self, block: Sequence[FrameResult]) -> None:
        found = [one for result in block for one in self._found(result)]
        frames = [self.plan.frames[result.frame_index] for result in block]
        self.tracked.update(frames)
        if frames and self._masked:
            masks = self._remember(found)
            signed = [self._signed(one) for one in masks]
            # The frame after the last one is not known yet, so its masks do not say whether another follows.
            restated = self._neighbours.restated(frames, self._masked)
            self.writer.put_shapes(frames, signed, restated, open_end=frames[-1])
        self.ledger.note(found)

    def _signed(self, one: TrackedMask) -> dict[str, Any]:
        target, row = self.targets[one.row.object_id], one.row
        near = self._neighbours.near(row.frame, target.key)
        return self.maker.mask(target, row.frame, one.points or (), row.score, near)

    def _found(self, result: FrameResult) -> Iterator[TrackedMask]:
        frame = self.plan.frames[result.frame_index]
        for row in rows_of(result):
            target = self.targets[row.object_id]
            human = row.human or (frame, target.key) in self.untouchable
            points = None
            if row.area and not human:
                points = encode_cvat_mask(result.label_map == row.object_id)
            yield TrackedMask(Row(frame, row.object_id, row.score, row.lost, row.reasons, human, row.area), points)


def _counted(results: Iterator[FrameResult], bar: FrameProgress) -> Iterator[FrameResult]:
    for result in results:
        yield result
        bar.advance()


def _blocks(results: Iterator[FrameResult], stop: Interruption) -> Iterator[list[FrameResult]]:
    """Frames between two writes; when an end is asked for, what there is."""
    block: list[FrameResult] = []
    for result in results:
        block.append(result)
        if len(block) == BLOCK or stop.asked:
            yield block
            block = []
    if block:
        yield block


def _finish(
    plan: JobPlan, targets: Sequence[Target], parts: Sequence[RangePart], writer: JobWriter, ledger: Ledger
) -> list[str]:
    """Tracks, where objects are written as such; and what an earlier run wrote in the other form goes."""
    frames = sorted({plan.frames[position] for part in parts for position in part.frames})
    forms = {target.key: plan.form(target) for target in targets}
    maker = Maker(plan.info, plan.asked.direction == "backward")
    new, old, notes = make_tracks(ledger.results(), targets, plan, frames, maker)
    for before, after in old:
        if not writer.add_to(before, after):
            notes.append(f"{origin_of(before)} was edited during the run and stays so; the same command takes it in.")
    writer.put_tracks(frames, new)
    writer.drop_shapes(frames, {key for key, form in forms.items() if form == "mask"})
    writer.tidy(lambda there: occupied(there, plan.groups, plan.continued, plan.info))
    if plan.asked.again:
        writer.forget_deleted()
    ledger.finish()
    return notes


def _fingerprint(server: Server, plan: JobPlan, targets: Sequence[Target], model: dict[str, Any]) -> dict[str, Any]:
    """What decides about the result, so that only the very same run is continued."""
    asked, drawn = plan.asked, hashlib.sha256()
    for drawing in plan.drawings:
        what = drawing.frame, plan.groups.key(drawing), drawing.kind, [float(value) for value in drawing.points]
        drawn.update(repr(what).encode())
    return {
        "host": server.host,
        "job": plan.info.job,
        "frames": hashlib.sha256(repr(plan.frames).encode()).hexdigest(),
        "direction": asked.direction,
        "output": asked.output,
        "tolerance": asked.tolerance,
        "drawn": drawn.hexdigest(),
        "objects": [[t.number, *t.key, t.z_order, plan.form(t), _listed(t.changes)] for t in targets],
        "deleted": [] if asked.again else [[*key, sorted(frames)] for key, frames in sorted(plan.deleted.items())],
        "absent": [[position, sorted(ids)] for position, ids in sorted(plan.absent(targets).items())],
        "model": model,
    }


def _listed(changes: Mapping[int, Mapping[int, str]]) -> list[object]:
    return [[frame, sorted(map(list, values.items()))] for frame, values in changes.items()]
