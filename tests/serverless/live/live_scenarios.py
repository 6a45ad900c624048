"""What people and machines do to a job, and where each object should be shown afterwards: a table.

Whatever the steps are, what people did must be as it was after every machine's run, see `test_live_cvat_job.py`; a
scenario only says in which frames each object is shown at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from live_cvat import FRAMES
from live_steps import (
    Step,
    attribute,
    correct,
    delete,
    detected,
    draw,
    draw_track,
    edit,
    end,
    hide,
    interrupt,
    outside,
    press,
    put_keyframe,
    regroup,
    relabel,
    split,
    track,
    unchanged,
    while_tracking,
    work,
)

ALL = frozenset(range(FRAMES))


@dataclass(frozen=True)
class Scenario:
    """A line of the table.

    Attributes:
        name: what happens.
        steps: in order.
        shown: frames in which CVAT shows each object at the end, by its number.
        objects: as how many objects CVAT knows one, where people say that it is more than one.
        anywhere: whether any machine, also one without a record of the job, has nothing more to do at the end.
        short: why this falls short today.
    """

    name: str
    steps: Sequence[Step]
    shown: Mapping[int, Collection[int]] = field(default_factory=lambda: {1: ALL})
    objects: Mapping[int, int] = field(default_factory=dict)
    anywhere: bool = True
    short: str = ""


POLYGONS = ("--output", "polygons")
BOTH = ("--direction", "both")
BACK = ("--direction", "backward")
DRAWN: dict[str, Callable[..., Step]] = {
    "mask": lambda number=1, frame=0, **more: draw("mask", number, frame, **more),
    "polygon": lambda number=1, frame=0, **more: draw("polygon", number, frame, **more),
    "box": lambda number=1, frame=0, **more: draw("rectangle", number, frame, **more),
    "polygon track": lambda number=1, frame=0, **more: draw_track("polygon", number, frame, **more),
    "box track": lambda number=1, frame=0, **more: draw_track("rectangle", number, frame, **more),
}


def _combined() -> list[Scenario]:
    """The same stories for everything that can be drawn and everything that can be asked for."""
    found = []
    for kind, drawn in DRAWN.items():
        for output in ((), POLYGONS):
            how = f"{kind}, {'polygons' if output else 'masks'}"
            here, there = track(*output), track(*output, on="b")
            found += [
                Scenario(f"{how}: again elsewhere", [drawn(), drawn(2), here, there], {1: ALL, 2: ALL}),
                Scenario(f"{how}: corrected, elsewhere", [drawn(), here, correct(), there]),
                Scenario(f"{how}: corrected twice", [drawn(), here, correct(1, 3), there, correct(1, 7), here]),
                Scenario(f"{how}: from the middle, both ways", [drawn(1, 4), track(*output, *BOTH)]),
            ]
    return found


def _masks() -> list[Scenario]:
    here, there, mask = track(), track(on="b"), DRAWN["mask"]
    back, back_there = track(*BACK), track(*BACK, on="b")
    return [
        Scenario("three masks", [mask(1), mask(2), mask(3), here, there], {1: ALL, 2: ALL, 3: range(8)}),
        Scenario("from the middle, forward", [mask(1, 4), here], {1: range(4, FRAMES)}),
        Scenario("from the middle, backward", [mask(1, 4), track(*BACK)], {1: range(5)}),
        Scenario("forward, then backward elsewhere", [mask(1, 4), here, track(*BACK, on="b")]),
        Scenario("between two drawings", [mask(1, 0, group=3), mask(1, 9, group=3), track(*BOTH)]),
        Scenario("between two drawings without a group", [mask(1, 0), mask(1, 9), track(*BOTH), there]),
        Scenario("later drawing without a group", [mask(1, 0), mask(1, 5, shift=2), here, there]),
        Scenario("another object later", [mask(1, 0), mask(2, 5), here, there], {1: ALL, 2: range(5, FRAMES)}),
        Scenario("only the start", [mask(1, 0, group=2), mask(1, 6, group=2), track("--keyframes", "start")]),
        Scenario("deleted, elsewhere", [mask(), here, delete(1, 6), there], {1: ALL - {6}}),
        Scenario("three deleted, elsewhere", [mask(), here, delete(1, 4, 5, 6), there], {1: ALL - {4, 5, 6}}),
        Scenario("deleted, again", [mask(), here, delete(1, 6), there, track("--deleted", "again")]),
        Scenario("deleted to the end, elsewhere", [mask(), here, delete(1, 7, 8, 9), there], {1: range(7)}),
        Scenario("deleted from a block on, elsewhere", [mask(), here, delete(1, 6, 7, 8, 9), there], {1: range(6)}),
        Scenario(
            "deleted up to a block, elsewhere", [mask(1, 9), back, delete(1, *range(7)), back_there], {1: {7, 8, 9}}
        ),
        Scenario(
            "deleted where two runs meet, elsewhere",
            [mask(), track("--to", 4), here, delete(1, *range(5, FRAMES)), there],
            {1: range(5)},
        ),
        Scenario("all deleted", [mask(), here, delete(1, *range(1, FRAMES)), here], {1: {0}}, anywhere=False),
        Scenario("deleted and corrected", [mask(), here, delete(1, 6), correct(1, 3), there], {1: ALL - {6}}),
        Scenario("deleted, corrected beyond", [mask(), here, delete(1, 5), correct(1, 7), there], {1: ALL - {5}}),
        Scenario(
            "drawing deleted, corrected one left",
            [mask(), here, correct(1, 5), delete(1, 0), there],
            {1: range(1, FRAMES)},
        ),
        Scenario("drawing replaced", [mask(), here, delete(1, 0), mask(1, 0, shift=2), here]),
        Scenario("relabelled on one frame", [mask(), here, relabel(), there]),
        Scenario("relabelled drawing", [mask(), here, relabel(1, 0), there], objects={1: 1}),
        Scenario("attribute", [mask(), here, attribute(), there]),
        Scenario("attribute that does not change", [mask(), here, attribute(1, 5, "sex", "f"), there]),
        Scenario("attribute of the drawing", [mask(), here, attribute(1, 0), there]),
        Scenario("occluded", [mask(), here, hide(), there]),
        Scenario("moved to a layer", [mask(), here, edit(1, 5, lambda item: item.update(z_order=3)), there]),
        Scenario("two in one group are parts", [mask(1, 0, group=7), mask(2, 0, group=7), here], {}),
        Scenario(
            "same group, other label", [mask(1, group=7), mask(2, group=7, label="car"), here, there], {1: ALL, 2: ALL}
        ),
        Scenario("groups in use elsewhere", [mask(2, 9, group=1), mask(1, 0), here, there], {1: ALL, 2: {9}}),
        Scenario("a person groups two objects' shapes", [mask(1), mask(2), here, regroup(1, [5], 9), there], {2: ALL}),
        Scenario("detections", [mask(), detected(2, 5), here, there], {1: ALL, 2: {5}}),
        Scenario("detections with a group", [mask(1, 0, group=2), detected(1, 5, group=2), here, there]),
        Scenario(
            "a label for outlines", [mask(1, 0), draw("polygon", 2, 0, label="outline"), here, there], {1: ALL, 2: ALL}
        ),
        Scenario("a label for boxes", [draw("rectangle", 2, 0, label="box"), here, there], {2: ALL}),
        Scenario(
            "a label for masks, polygons asked",
            [draw("mask", 2, 0, label="stencil"), track(*POLYGONS), track(*POLYGONS, on="b")],
            {2: ALL},
        ),
        Scenario("masks, then polygons", [mask(), here, track(*POLYGONS, on="b")]),
        Scenario("polygons, then masks", [mask(), track(*POLYGONS), there]),
        Scenario("a part", [mask(), track("--to", 4), there]),
        Scenario("a part again", [mask(), here, track("--from", 0, "--to", 4, on="b")]),
        Scenario("drawn without a group during the run", [mask(), while_tracking(4, draw("mask", 1, 8)), there]),
        Scenario(
            "drawn during the run, then again",
            [mask(1, 0, group=1), while_tracking(4, draw("mask", 1, 8, group=1)), there],
        ),
        Scenario("corrected during the run", [mask(), here, correct(1, 5), while_tracking(4, correct(1, 7)), here]),
        Scenario(
            "deleted during the run",
            [mask(), here, correct(1, 5), while_tracking(4, delete(1, 8)), there],
            {1: ALL - {8}},
        ),
        Scenario("interrupted, elsewhere", [mask(), while_tracking(5, interrupt, code=130), there]),
        Scenario("interrupted, goes on", [mask(), while_tracking(5, interrupt, code=130), here]),
        Scenario(
            "interrupted, corrected, goes on", [mask(), while_tracking(7, interrupt, code=130), correct(1, 2), here]
        ),
        Scenario("attribute during the run", [mask(), here, correct(1, 5), while_tracking(4, attribute(1, 7)), there]),
    ]


def _tracks() -> list[Scenario]:
    here, there = track(*POLYGONS), track(*POLYGONS, on="b")
    mask, polygon = DRAWN["mask"], DRAWN["polygon track"]
    return [
        Scenario("outside in our track", [mask(), here, outside(1, 6), there], {1: range(6)}),
        Scenario("outside and back in our track", [mask(), here, outside(1, 4, 7), there], {1: ALL - {4, 5, 6}}),
        Scenario("outside in a person's track", [polygon(), here, outside(1, 6), there], {1: range(6)}),
        Scenario("a track with an end", [draw_track("polygon", 1, 0, -5), here, there], {1: range(5)}),
        Scenario("a track with a gap", [draw_track("polygon", 1, 0, -3, 6), here, there], {1: ALL - {3, 4, 5}}),
        Scenario("a track with two keyframes", [draw_track("polygon", 1, 0, 9), track(*BOTH), track(*BOTH, on="b")]),
        Scenario(
            "a box track with two keyframes", [draw_track("rectangle", 1, 0, 9), track(*BOTH), track(*BOTH, on="b")]
        ),
        Scenario("our track deleted", [mask(), here, delete(1, 5), here], {1: {0}}, anywhere=False),
        Scenario(
            "our track deleted, again", [mask(), here, delete(1, 5), here, track(*POLYGONS, "--deleted", "again")]
        ),
        Scenario("our track split", [mask(), here, split(), there]),
        Scenario("a person's track split", [polygon(), here, split(), there], objects={1: 2}),
        Scenario("our track relabelled", [mask(), here, relabel(1, 5), there]),
        Scenario("a track and a mask", [polygon(1, 0, group=4), mask(1, 6, group=4), here, there], {}),
        Scenario("two tracks of one group", [polygon(1, 0, group=4), polygon(2, 0, group=4), here], {}),
        Scenario("edited during the run", [polygon(), while_tracking(4, put_keyframe(1, 7), *POLYGONS), there]),
        Scenario("interrupted", [polygon(), while_tracking(5, interrupt, *POLYGONS, code=130), there]),
        Scenario("track later in the job", [polygon(1, 5), track(*POLYGONS, *BOTH), track(*POLYGONS, *BOTH, on="b")]),
        Scenario(
            "three tracks, one leaves", [polygon(1), polygon(2), polygon(3), here, there], {1: ALL, 2: ALL, 3: range(8)}
        ),
    ]


def _button() -> list[Scenario]:
    """Button and job command, in turn."""
    here, there, mask, polygon = track(), track(on="b"), DRAWN["mask"], DRAWN["polygon"]
    here_polygons, there_polygons = track(*POLYGONS), track(*POLYGONS, on="b")
    to_end, to_end_polygons = press(0, 9), press(0, 9, output="track")
    hidden = work(5, "async ([state]) => { state.occluded = true; await state.save(); }")
    removed = work(6, "async ([state]) => { await state.delete(6); }")
    lock = work(5, "async ([state]) => { state.attributes = {[argument]: 'sits'}; await state.save(); }", "pose")
    key = work(
        5,
        "async ([state]) => { state.points = state.points.map((v, i) => v + 2 * (i % 2 === 0)); await state.save(); }",
    )
    to_five = {1: range(5)}
    twice = [mask(1, 0, group=3), mask(1, 9, group=3)]
    gone = work(6, "async ([state]) => { state.outside = true; await state.save(); }")
    return [
        Scenario("button, then job", [mask(), to_end, here, there]),
        Scenario("job, then button", [mask(), here, to_end]),
        Scenario("two objects, button, then job", [mask(), mask(2), to_end, there], {1: ALL, 2: ALL}),
        Scenario("button, corrected, button", [mask(1, 0, group=1), to_end, correct(), press(5, 9)]),
        Scenario("button, corrected, job", [mask(), to_end, correct(), here]),
        Scenario("job, corrected, button", [mask(), here, correct(), press(5, 9)]),
        Scenario("button, occluded by hand, job", [mask(), to_end, hidden, there]),
        Scenario("job, occluded by hand, button", [mask(), here, hidden, to_end]),
        Scenario("button, removed by hand, job", [mask(), to_end, removed, there], {1: ALL - {6}}),
        Scenario("job, removed by hand, button", [mask(), here, removed, to_end], {1: ALL - {6}}),
        Scenario(
            "two presses of the button, deleted where they meet, job",
            [mask(), press(0, 4), press(4, 9), delete(1, *range(5, FRAMES)), there],
            {1: range(5)},
        ),
        Scenario("job, removed, button again", [mask(), here, removed, press(0, 9, again=True)]),
        Scenario("button, attribute by hand, job", [mask(), to_end, lock, there]),
        Scenario("job, attribute by hand, button", [mask(), here, lock, to_end]),
        Scenario("backward by the button, forward by the job", [mask(1, 5), press(5, 0), here]),
        Scenario("both ways by the job, button", [mask(1, 5), track(*BOTH), press(5, 0), press(5, 9)]),
        Scenario("polygon, button, job", [polygon(), to_end_polygons, there_polygons]),
        Scenario("polygon, job, button", [polygon(), here_polygons, to_end_polygons]),
        Scenario("polygon track, button, job", [draw_track("polygon"), to_end, there_polygons]),
        Scenario("polygon track, job, button", [draw_track("polygon"), here, to_end]),
        Scenario("our track, corrected by hand, button", [draw_track("polygon"), to_end, key, press(5, 9)]),
        Scenario("our track, corrected by hand, job", [draw_track("polygon"), to_end, key, there_polygons]),
        Scenario("our track of a mask, corrected by hand, job", [mask(), here_polygons, key, there_polygons]),
        Scenario("our track of a mask, ended by hand, job", [mask(), here_polygons, gone, there_polygons], {}),
        Scenario("a track ended by hand, button", [draw_track("polygon"), here, gone, to_end], {}),
        Scenario("relabelled, button", [mask(), here, relabel(), to_end]),
        Scenario("masks by the button, tracks by the job", [mask(), to_end, here_polygons]),
        Scenario("another person's detection, button", [mask(), detected(2, 5), to_end, here], {1: ALL, 2: {5}}),
        Scenario(
            "both ways by the button, job the same",
            [*twice, press(4), unchanged(*BOTH)],
        ),
        Scenario(
            "both ways by the button around a correction, job the same",
            [
                mask(1, 0, group=3),
                mask(1, 9, group=3),
                track(*BOTH),
                correct(1, 5),
                press(5, way="both"),
                unchanged(*BOTH),
            ],
        ),
        Scenario(
            "both ways by the button, two objects, job",
            [
                mask(1, 0, group=3),
                mask(1, 9, group=3),
                mask(2, 2, group=4),
                mask(2, 7, group=4),
                press(5),
                track(*BOTH),
            ],
            {1: ALL, 2: ALL},
        ),
        Scenario(
            "a track with two keyframes, both ways by the button, job",
            [draw_track("polygon", 1, 0, 9), press(4, way="both"), track(*POLYGONS, *BOTH)],
        ),
        Scenario(
            "a keyframe made by the button, job",
            [draw_track("polygon", 1, 0, 9), press(4, 9, keyframes=True), track(*POLYGONS, *BOTH)],
        ),
        Scenario("masks ended by the button, job", [mask(), here, end(5), there], to_five),
        Scenario("masks of the button ended by it, job", [mask(), to_end, end(5), to_end, there], to_five),
        Scenario("a track ended by the button, job", [draw_track("polygon"), here, end(5), there_polygons], to_five),
        Scenario("our track ended by the button, job", [mask(), here_polygons, end(5), there_polygons], to_five),
        Scenario("our track relabelled, button", [mask(), here_polygons, relabel(1, 5), to_end, there_polygons]),
        Scenario("button to the middle, job to the end", [mask(), press(0, 5), here]),
        Scenario(
            "three, one leaves, button, job", [mask(1), mask(2), mask(3), to_end, here], {1: ALL, 2: ALL, 3: range(8)}
        ),
    ]


SCENARIOS = [*_masks(), *_tracks(), *_combined()]
PRESSED = _button()
