"""`agss cvat track` on a CVAT server that runs: nothing that people did is lost, changed or doubled, on any machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from live_button import Button
from live_cvat import Live, shown
from live_scenarios import PRESSED, SCENARIOS, Scenario

from agss_model.cvat.authorship import author, content, in_order, keyframe_authors

pytestmark = pytest.mark.slow


def check_kept(before: dict, after: dict, live: Live) -> None:
    """Everything of people is there as it was, but for groups of drawings without one and keyframes beside theirs."""
    names = live.info.names
    there = {content(item, names) for kind in ("shapes", "tracks") for item in after[kind]}
    for shape in before["shapes"]:
        if author(shape, names) != "ours":
            grouped = [content({**shape, "group": item["group"]}, names) for item in after["shapes"]]
            same = content(shape, names) in there or (not shape["group"] and there.intersection(grouped))
            same = same or _became_a_keyframe(shape, after, live)
            assert same, f"shape {shape['id']} of frame {shape['frame'] - live.info.start} is gone or changed"
    for track in before["tracks"]:
        theirs = human_keys(track, live)
        if theirs:
            rest = [other for other in after["tracks"] if theirs.items() <= human_keys(other, live).items()]
            assert any(about(other) == about(track) for other in rest), f"track {track['id']} is gone or changed"


def _became_a_keyframe(shape: dict, after: dict, live: Live) -> bool:
    """The button makes the polygon that it starts from the first keyframe of a track."""
    keys = [human_keys(track, live).get(shape["frame"]) for track in after["tracks"]]
    return any(key and key[0] == tuple(shape["points"]) for key in keys)


def human_keys(track: dict, live: Live) -> dict[int, tuple]:
    authors = keyframe_authors(track, live.info.names)
    keys = {key["frame"]: key for key in in_order(track) if authors[key["frame"]] != "ours"}
    return {f: (tuple(k["points"]), k["outside"], k["occluded"], k["z_order"], values(k)) for f, k in keys.items()}


def about(track: dict) -> tuple:
    return track["label_id"], values(track)


def values(item: dict) -> tuple:
    return tuple(sorted((one["spec_id"], one["value"]) for one in item["attributes"]))


def check_single(before: dict, after: dict, live: Live) -> None:
    """A machine adds nothing where there is something of the object already, and nothing that spoils a job."""
    counts = [Counter((one.frame, one.key) for one in shown(items, live.info)) for items in (before, after)]
    doubled = {place: n for place, n in counts[1].items() if n > max(1, counts[0][place])}
    ours = {(one.frame, one.key) for one in shown(after, live.info) if one.by == "ours"}
    assert not ours.intersection(doubled), f"shown twice: {sorted(doubled)}"
    for track in after["tracks"]:
        assert all(key["type"] != "mask" for key in track["shapes"])
    frames = [key["frame"] for item in (*after["shapes"], *after["tracks"]) for key in item.get("shapes", [item])]
    assert all(live.info.start <= frame <= live.info.stop for frame in frames)


def watched(live: Live) -> None:
    """Check after every run of a machine what it did to what was there when it ended."""
    for name in ("machine", "press"):
        setattr(live, name, _watched(live, getattr(live, name)))


def _watched(live: Live, run: Callable[..., str]) -> Callable[..., str]:
    def watched_run(*arguments: object, **more: object) -> str:
        before = live.items()
        send = live.send

        def person(*request: object) -> list[dict]:
            nonlocal before
            made = send(*request)
            before = live.items()
            return made

        live.send = person  # type: ignore[method-assign]
        said = run(*arguments, **more)
        live.send = send  # type: ignore[method-assign]
        after = live.items()
        check_kept(before, after, live)
        check_single(before, after, live)
        return said

    return watched_run


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_nothing_of_people_is_lost_or_doubled(live, scenario: Scenario):
    check(live, scenario)


@pytest.mark.parametrize("scenario", PRESSED, ids=lambda scenario: scenario.name)
def test_button_and_command_in_turn(live, live_page, scenario: Scenario):
    """The job goes over all frames, the button over those ahead: the job settles what lies before."""
    live.button = Button(live_page, live)
    check(live, replace(scenario, steps=[*scenario.steps, lambda live: live.machine(*live.last, on="c")]))


def check(live: Live, scenario: Scenario) -> None:
    if scenario.short:
        pytest.xfail(scenario.short)
    watched(live)
    for step in scenario.steps:
        step(live)
    items = live.items()
    there = shown(items, live.info)
    for number, frames in scenario.shown.items():
        where = Counter(one.frame for one in there if one.number == number)
        assert set(where) == set(frames), f"object {number}: {sorted(where)} instead of {sorted(frames)}"
        assert set(where.values()) == {1}, f"object {number} is shown twice in {where}"
        groups = {one.key[1] for one in there if one.number == number}
        assert len(groups) == scenario.objects.get(number, 1), f"object {number} is {sorted(groups)}"
    said = live.machine(*live.last, on="c" if scenario.anywhere else "a")
    assert live.items() == items, f"a further run changed something: {said}"
    assert "nothing had to be changed" in said
