"""Track all objects of a CVAT job: block by block, writing back, and on where an interrupted run stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from agss_model.cli.console import FrameProgress
from agss_model.cli.running import Interruption
from agss_model.cli.scores import Row, rows_of
from agss_model.cvat.server import CvatError, Server
from agss_model.masks.runs import encode_cvat_mask
from agss_model.results import FrameResult
from serverless.job.ledger import Found, Ledger
from serverless.job.objects import Boxes, Keyframes, Target
from serverless.job.plan import Plan, occupied, resolve
from serverless.job.polygons import make_tracks
from serverless.job.track import Leg, Tracking, make_legs, read_frame
from serverless.job.write import Writer, mask_shape

BLOCK = 25  # frames between two writes


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        targets: the objects.
        rows: scores of all frames.
        created: shapes and tracks written by this call.
        removed: earlier ones of this command that were replaced.
        tracked: frames tracked by this call.
        notes: sentences for the user.
    """

    targets: tuple[Target, ...]
    rows: tuple[Row, ...]
    created: int
    removed: int
    tracked: int
    notes: tuple[str, ...]


def run(server: Server, plan: Plan, tracking: Tracking, ledger: Ledger, model: dict[str, Any]) -> Outcome:
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
    boxes = Boxes(partial(read_frame, server, plan.info))
    notes = resolve(plan, tracking, boxes)
    targets = plan.targets()
    ledger.groups.update(plan.groups.given)
    keyframes = plan.keyframes(targets, boxes)
    legs = make_legs(keyframes, len(plan.frames), plan.asked.direction)
    resumed = ledger.begin(_fingerprint(server, plan, targets, model))
    if resumed:
        notes.append("an unfinished run is continued.")
    writer = Writer(server, plan.info, plan.annotations, ledger)
    runner = _Runner(plan, targets, keyframes, tracking, ledger, writer)
    runner.all_legs(legs, resumed=resumed)
    notes += _finish(plan, targets, legs, writer, ledger)
    rows = tuple(found.row for found in ledger.results())
    return Outcome(targets, rows, writer.created, writer.removed, runner.tracked, (*notes, *keyframes.notes()))


class _Runner:
    """Goes through the legs and hands over blocks of frames."""

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        keyframes: Keyframes,
        tracking: Tracking,
        ledger: Ledger,
        writer: Writer,
    ) -> None:
        self.plan, self.targets, self.keyframes = plan, {t.number: t for t in targets}, keyframes
        self.tracking, self.ledger, self.writer = tracking, ledger, writer
        self.occupied = occupied(plan)
        self.tracked = 0

    def all_legs(self, legs: Sequence[Leg], *, resumed: bool) -> None:
        """What is left of all legs."""
        total = sum(len(leg.order or leg.given_out) for leg in legs)
        progress = self.ledger.progress
        done = sum(len(leg.order or leg.given_out) for leg in legs[: progress.leg]) + progress.steps
        with Interruption() as stop, FrameProgress("tracking", total, done) as bar:
            for number in range(progress.leg, len(legs)):
                try:
                    self._leg(number, legs[number], stop, bar)
                except CvatError as error:
                    if error.status != 400 or not (resumed and self.ledger.progress.steps):
                        raise
                    self.ledger.again()  # the function's states have expired
                    self._leg(number, legs[number], stop, bar)
                resumed = False

    def _leg(self, number: int, leg: Leg, stop: Interruption, bar: FrameProgress) -> None:
        steps = self._start(leg)
        order = leg.order[steps:] if leg.order is not None else leg.given_out
        if leg.order is None:
            results = self.tracking.both(self.keyframes, order.start, order.stop)
        else:
            results = self.tracking.follow(self.keyframes, order)
        for block in _blocks(_counted(results, bar)):
            self._hand_over([result for result in block if result.frame_index in leg.given_out])
            steps += len(block)
            self.tracked += len(block)
            if leg.order is not None and steps < len(leg.order):
                self.tracking.save(self.ledger.tracker)
                self.ledger.advance(number, steps)
            if stop.asked:
                raise KeyboardInterrupt
        self.ledger.advance(number + 1, 0)

    def _start(self, leg: Leg) -> int:
        """Steps of this leg that are done, with the tracker as it was after them."""
        steps = self.ledger.progress.steps
        if steps and leg.order is not None and self.tracking.restore(self.ledger.tracker, leg.order[steps - 1]):
            return steps
        if self.ledger.progress.size != self.ledger.progress.start:
            self.ledger.again()
        self.tracking.restart()
        return 0

    def _hand_over(self, block: Sequence[FrameResult]) -> None:
        found = [one for result in block for one in self._found(result)]
        if self.plan.asked.output == "masks":
            frames = [self.plan.frames[result.frame_index] for result in block]
            shapes = [
                mask_shape(self.targets[one.row.object_id], one.row.frame, one.points, one.row.score)
                for one in found
                if one.points is not None
            ]
            self.writer.put_shapes(frames, shapes)
        self.ledger.note(found)

    def _found(self, result: FrameResult) -> Iterator[Found]:
        frame = self.plan.frames[result.frame_index]
        for row in rows_of(result):
            target = self.targets[row.object_id]
            human = row.human or (frame, (target.label_id, target.group)) in self.occupied
            points = None
            if row.area and not human:
                points = encode_cvat_mask(result.label_map == row.object_id)
            yield Found(Row(frame, row.object_id, row.score, row.lost, row.reasons, human, row.area), points)


def _counted(results: Iterator[FrameResult], bar: FrameProgress) -> Iterator[FrameResult]:
    for result in results:
        yield result
        bar.advance()


def _blocks(results: Iterator[FrameResult]) -> Iterator[list[FrameResult]]:
    while block := list(islice(results, BLOCK)):
        yield block


def _finish(plan: Plan, targets: Sequence[Target], legs: Sequence[Leg], writer: Writer, ledger: Ledger) -> list[str]:
    """Tracks, where they were asked for; and what an earlier run wrote in the other form goes."""
    frames = [plan.frames[position] for leg in legs for position in leg.given_out]
    notes: list[str] = []
    if plan.asked.output == "polygons":
        tracks, notes = make_tracks(ledger.results(), targets, plan.info, sorted(frames), plan.asked.tolerance)
        writer.put_tracks(frames, tracks)
        writer.put_shapes(frames, [])
    else:
        writer.put_tracks(frames, [])
    writer.tidy()
    ledger.finish()
    return notes


def _fingerprint(server: Server, plan: Plan, targets: Sequence[Target], model: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides about the result, so that only the very same run is continued."""
    asked, drawn = plan.asked, hashlib.sha256()
    for given in plan.givens:
        what = given.frame, plan.groups.key(given), given.kind, [float(value) for value in given.points]
        drawn.update(repr(what).encode())
    return {
        "host": server.host,
        "job": plan.info.job,
        "frames": hashlib.sha256(repr(plan.frames).encode()).hexdigest(),
        "direction": asked.direction,
        "output": asked.output,
        "tolerance": asked.tolerance,
        "drawn": drawn.hexdigest(),
        "objects": [
            [t.number, t.label_id, t.group, t.z_order, sorted(map(list, t.attributes.items()))] for t in targets
        ],
        "model": model,
    }
