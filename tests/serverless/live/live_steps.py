"""What people do to a job, as steps of a scenario: functions of `Live`, in the forms in which CVAT's page sends it."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Callable, Collection, Sequence

import numpy as np
from live_cvat import FRAMES, Live, interpolated, truth

from agss_model.masks import encode_cvat_mask
from agss_model.masks.cvat_shapes import mask_to_shape

Step = Callable[[Live], None]


def draw(kind: str, number: int = 1, frame: int = 0, **more: object) -> Step:
    return lambda live: live.draw(kind, number, frame, **more)


def draw_track(kind: str, number: int = 1, *frames: int, **more: object) -> Step:
    return lambda live: live.draw_track(kind, number, *(frames or (0,)), **more)


def track(*arguments: str | int, on: str = "a") -> Step:
    return lambda live: live.machine(*arguments, on=on)


def press(frame: int, target: int | None = None, **choices: object) -> Step:
    """The button, pressed on one frame to track to another one, or both ways around it."""
    return lambda live: live.press(frame, target, **choices)


def end(frame: int) -> Step:
    """A person says with the button that the only object of a frame is not there any more."""
    return lambda live: live.button.end(frame)


def unchanged(*arguments: str | int, on: str = "a") -> Step:
    """The command finds everything as it would have made it."""

    def step(live: Live) -> None:
        said = live.machine(*arguments, on=on)
        assert "nothing had to be changed" in said, said

    return step


def work(frame: int, script: str, argument: str | None = None) -> Step:
    """A person's work in CVAT's own client, see `Button.edit`; an argument names an attribute."""
    return lambda live: live.button.edit(frame, script, argument and live.spec(argument))


def while_tracking(frame: int, what: Step, *arguments: str, on: str = "a", code: int = 0) -> Step:
    """A run during which something happens when the picture of a frame is asked for."""

    def step(live: Live) -> None:
        def once(at: int) -> None:
            if at == frame:
                live.on_frame = None
                what(live)

        live.on_frame = once
        live.machine(*arguments, on=on, code=code)
        live.on_frame = None

    return step


def interrupt(live: Live) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def edit(number: int, frame: int, change: Callable[[dict], None], *, source: bool = True) -> Step:
    """A person changes what is shown in a frame; CVAT's page changes the source of what was `auto`."""

    def step(live: Live) -> None:
        item = copy.deepcopy(live.find(number, frame))
        change(item)
        if source and item["source"] == "auto":
            item["source"] = "semi-auto"
        live.send("update", "tracks" if "shapes" in item else "shapes", item)

    return step


def correct(number: int = 1, frame: int = 5, shift: int = 2) -> Step:
    """A person moves the outline by some pixels; in a track this makes a keyframe."""

    def step(live: Live) -> None:
        item = copy.deepcopy(live.find(number, frame))
        if "shapes" in item:
            key = _keyframe(live, item, frame)
            key["points"] = _moved(key["points"], shift)
        else:
            mask = np.roll(truth(number, frame), shift, axis=1)
            item["points"] = encode_cvat_mask(mask) if item["type"] == "mask" else mask_to_shape(item["type"], mask)
        _save(live, item)

    return step


def put_keyframe(number: int, frame: int, first: int = 0) -> Step:
    """A person adds a keyframe where the object is to the track that shows it in its first frame."""

    def step(live: Live) -> None:
        item = copy.deepcopy(live.find(number, first))
        _keyframe(live, item, frame)["points"] = mask_to_shape("polygon", truth(number, frame))
        _save(live, item)

    return step


def outside(number: int = 1, frame: int = 5, until: int | None = None) -> Step:
    """A person says in a track that the object is not there from a frame on, up to another one or the end."""

    def step(live: Live) -> None:
        item = copy.deepcopy(live.find(number, frame))
        if until is not None:
            _keyframe(live, item, until)
        _keyframe(live, item, frame)["outside"] = True
        last = FRAMES if until is None else until
        between = range(live.at(frame) + 1, live.at(last))
        item["shapes"] = [key for key in item["shapes"] if key["frame"] not in between]
        _save(live, item)

    return step


def split(number: int = 1, frame: int = 5) -> Step:
    """CVAT's split: the first track ends in that frame, a second one begins there."""

    def step(live: Live) -> None:
        whole = live.find(number, frame)
        first, second = copy.deepcopy(whole), copy.deepcopy(whole)
        for part in (first, second):
            _keyframe(live, part, frame)
            part.pop("id")
        _keyframe(live, first, frame - 1)
        _keyframe(live, first, frame)["outside"] = True
        first["shapes"] = [key for key in first["shapes"] if key["frame"] <= live.at(frame)]
        second["shapes"] = [key for key in second["shapes"] if key["frame"] >= live.at(frame)]
        second["frame"] = live.at(frame)
        live.send("delete", "tracks", whole)
        for key in (*first["shapes"], *second["shapes"]):
            key.pop("id", None)
        live.send("create", "tracks", first, second)

    return step


def _keyframe(live: Live, track: dict, frame: int) -> dict:
    """The keyframe of a frame, made where there is none, as CVAT's page makes it."""
    at = live.at(frame)
    found = [key for key in track["shapes"] if key["frame"] == at]
    if not found:
        before = max((key for key in track["shapes"] if key["frame"] < at), key=lambda key: key["frame"])
        found = [{**copy.deepcopy(before), "frame": at, "points": interpolated(track, at), "outside": False}]
        found[0].pop("id", None)
        track["shapes"] = sorted([*track["shapes"], *found], key=lambda key: key["frame"])
    return found[0]


def _moved(points: Sequence[float], shift: int) -> list[float]:
    return [value + shift * (place % 2 == 0) for place, value in enumerate(points)]


def _save(live: Live, item: dict) -> None:
    if item["source"] == "auto":
        item["source"] = "semi-auto"
    live.send("update", "tracks" if "shapes" in item else "shapes", item)


def delete(number: int = 1, *frames: int) -> Step:
    """A person deletes what is shown there: single shapes, or a whole track."""

    def step(live: Live) -> None:
        for frame in frames:
            item = live.find(number, frame)
            live.send("delete", "tracks" if "shapes" in item else "shapes", item)

    return step


def relabel(number: int = 1, frame: int = 5, label: str = "car") -> Step:
    def step(live: Live) -> None:
        def change(item: dict) -> None:
            item.update(label_id=live.label(label), attributes=[])
            for key in item.get("shapes", ()):
                key["attributes"] = []

        edit(number, frame, change)(live)

    return step


def attribute(number: int = 1, frame: int = 5, name: str = "pose", value: str = "sits") -> Step:
    """Of a mask; CVAT's page leaves the source as it is."""

    def step(live: Live) -> None:
        spec = live.spec(name)

        def change(item: dict) -> None:
            rest = [one for one in item["attributes"] if one["spec_id"] != spec]
            item["attributes"] = [*rest, {"spec_id": spec, "value": value}]

        edit(number, frame, change, source=False)(live)

    return step


def hide(number: int = 1, frame: int = 5) -> Step:
    return edit(number, frame, lambda item: item.update(occluded=True))


def regroup(number: int, frames: Collection[int], group: int) -> Step:
    """A person gives shapes a group."""

    def step(live: Live) -> None:
        for frame in frames:
            edit(number, frame, lambda item: item.update(group=group))(live)

    return step


def several(*steps: Step) -> Step:
    def step(live: Live) -> None:
        for one in steps:
            one(live)

    return step


def detected(number: int, frame: int, **more: object) -> Step:
    """Another program's detection."""
    return draw("mask", number, frame, source="auto", **more)
