"""Who made a shape, by the table that the button's modules are held to as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.cvat.authorship import (
    Names,
    author,
    content,
    emptied,
    keyframe_authors,
    near_of,
    sign_mask,
    sign_track,
    was_ours,
    was_ours_as,
)

TABLE = json.loads((Path(__file__).parent / "cases" / "authorship.json").read_text(encoding="utf-8"))
NAMES = Names(
    *({int(k): v for k, v in TABLE["names"][kind].items()} for kind in ("labels", "attributes")),
    mutable=frozenset(TABLE["names"]["mutable"]),
)


@pytest.mark.parametrize("entry", TABLE["sign"])
def test_signatures_are_those_of_the_table(entry):
    item = entry["item"]
    made = sign_track(item, NAMES, entry["kept"]) if "shapes" in item else sign_mask(item, NAMES, entry["near"])
    assert made == entry["signed"]


@pytest.mark.parametrize("entry", TABLE["author"], ids=lambda entry: entry["case"])
def test_authors_are_those_of_the_table(entry):
    item = entry["item"]
    assert author(item, NAMES) == entry["author"]
    assert was_ours(item, NAMES) is entry["was_ours"]
    if "shapes" in item:
        assert {str(frame): who for frame, who in keyframe_authors(item, NAMES).items()} == entry["keyframes"]
    else:
        assert near_of(item) == entry["near"]


@pytest.mark.parametrize("entry", TABLE["relabelled"], ids=lambda entry: entry["case"])
def test_relabelled_tracks_are_known_by_the_drawing_of_their_group(entry):
    assert was_ours_as(entry["track"], entry["drawing"], NAMES) is entry["was_ours"]
    assert not was_ours(entry["track"], NAMES)


@pytest.mark.parametrize("entry", TABLE["emptied"])
def test_deletions_are_those_of_the_table(entry):
    near = {int(frame): bits for frame, bits in entry["near"].items()}
    assert sorted(emptied(entry["frames"], set(entry["occupied"]), near)) == entry["gone"]


attribute = st.fixed_dictionaries({"spec_id": st.integers(1, 12), "value": st.sampled_from(["", "a", "true", "ß\n"])})
attributes = st.lists(attribute, max_size=3, unique_by=lambda a: a["spec_id"])
coordinates = st.floats(-50, 3000, allow_nan=False)


def common(kind, points):
    return {
        "type": st.just(kind),
        "frame": st.integers(0, 500),
        "points": points,
        "occluded": st.booleans(),
        "outside": st.booleans(),
        "z_order": st.integers(0, 3),
        "attributes": attributes,
    }


owner = {"label_id": st.integers(1, 9), "group": st.integers(0, 9), "source": st.just("auto")}
masks = st.fixed_dictionaries(
    {**common("mask", st.lists(st.integers(0, 900).map(float), min_size=5, max_size=30)), **owner}
    | {"score": st.floats(0, 1)}
)
keyframe = st.fixed_dictionaries(common("polygon", st.lists(coordinates, min_size=6, max_size=20)))
keyframes = st.lists(keyframe, min_size=1, max_size=4, unique_by=lambda shape: shape["frame"])
tracks = st.fixed_dictionaries({**owner, "frame": st.integers(0, 9), "attributes": attributes, "shapes": keyframes})


def signed(item):
    return sign_track(item, NAMES) if "shapes" in item else sign_mask(item, NAMES)


def through_the_server(item):
    """Floats for points, its own numbers, other order: what a server may do."""
    item = json.loads(json.dumps(item))
    for part in [item, *item.get("shapes", [])]:
        part["id"] = 77
        part["points"] = [float(p) for p in part.get("points", ())]
        part["attributes"] = part["attributes"][::-1]
    if "shapes" in item:
        item["shapes"].reverse()
    return item


@settings(max_examples=150, deadline=None)
@given(item=masks | tracks)
def test_a_signature_survives_the_server_and_changes_hardly_anything(item):
    ours = signed(item)
    assert author(through_the_server(ours), NAMES) == "ours"
    if "score" in item:
        assert 0 < ours["score"] < 1
        assert abs(ours["score"] - item["score"]) < 0.0021
        assert content(ours, NAMES) == content(item, NAMES)
    else:
        before = sorted(item["shapes"], key=lambda s: s["frame"])
        pairs = zip(before, ours["shapes"], strict=True)
        away = [abs(p - q) for one, two in pairs for p, q in zip(one["points"], two["points"], strict=True)]
        assert max(away) <= 0.1001


@settings(max_examples=150, deadline=None)
@given(item=masks | tracks, data=st.data())
def test_any_edit_makes_it_a_persons(item, data):
    ours = through_the_server(signed(item))
    part = data.draw(st.sampled_from(ours.get("shapes") or [ours]))
    change = data.draw(st.sampled_from(["points", "occluded", "outside", "z_order", "attributes", "label_id", "group"]))
    if change == "points":
        part["points"][data.draw(st.integers(0, len(part["points"]) - 1))] += 1
    elif change in ("occluded", "outside"):
        part[change] = not part[change]
    elif change == "attributes":
        part["attributes"].append({"spec_id": 20, "value": "x"})
    elif change == "z_order":
        part["z_order"] += 1
    else:
        ours[change] += 1
    # A track with one keyframe has nothing left that tells it from another program's; either way it is not ours.
    assert author(ours, NAMES) in (("person",) if len(item.get("shapes", "xx")) > 1 else ("person", "other"))
