from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.cvat.authorship import digest, is_own, is_sealed, seal

attribute = st.fixed_dictionaries({"spec_id": st.integers(1, 9), "value": st.sampled_from(["", "a", "true"])})
attributes = st.lists(attribute, max_size=3, unique_by=lambda a: a["spec_id"])
coordinates = st.floats(-50, 3000, allow_nan=False).map(lambda value: round(value, 2))


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


shapes = st.fixed_dictionaries(
    {
        **common("mask", st.lists(st.integers(0, 900).map(float), min_size=5, max_size=30)),
        "label_id": st.integers(1, 9),
        "group": st.integers(0, 9),
        "source": st.just("semi-auto"),
        "score": st.floats(0, 1),
    }
)
keyframe = st.fixed_dictionaries(common("polygon", st.lists(coordinates, min_size=6, max_size=20)))
tracks = st.fixed_dictionaries(
    {
        "label_id": st.integers(1, 9),
        "group": st.integers(0, 9),
        "source": st.just("semi-auto"),
        "frame": st.integers(0, 9),
        "attributes": attributes,
        "shapes": st.lists(keyframe, min_size=1, max_size=4, unique_by=lambda s: s["frame"]),
    }
)


def through_the_server(item):
    """Floats for points, its own numbers, other order: what a server may do."""
    item = json.loads(json.dumps(item))
    item["id"] = 77
    for part in [item, *item.get("shapes", [])]:
        if "points" in part:
            part["points"] = [float(p) for p in part["points"]]
        part["attributes"] = part["attributes"][::-1]
    if "shapes" in item:
        item["shapes"].reverse()
    return item


@settings(max_examples=150, deadline=None)
@given(item=shapes | tracks)
def test_a_seal_survives_the_server_and_changes_hardly_anything(item):
    sealed = seal(item)
    assert is_sealed(through_the_server(sealed))
    if "score" in item:
        assert 0 <= sealed["score"] < 1
        assert abs(sealed["score"] - item["score"]) < 0.0021
    else:
        before = sorted(item["shapes"], key=lambda s: s["frame"])
        pairs = [
            pair
            for one, two in zip(before, sealed["shapes"], strict=True)
            for pair in zip(one["points"], two["points"], strict=True)
        ]
        assert max(abs(p - q) for p, q in pairs) <= 0.1401


@settings(max_examples=150, deadline=None)
@given(item=shapes | tracks, data=st.data())
def test_any_edit_makes_it_a_persons(item, data):
    sealed = through_the_server(seal(item))
    record = {f"{'track' if 'shapes' in item else 'shape'} 77": digest(sealed)}
    assert is_own(sealed, record)
    parts = [sealed, *sealed.get("shapes", [])]
    part = data.draw(st.sampled_from([p for p in parts if "points" in p]))
    change = data.draw(st.sampled_from(["points", "occluded", "outside", "z_order", "attributes", "label_id", "group"]))
    if change == "points":
        part["points"][data.draw(st.integers(0, len(part["points"]) - 1))] += 1
    elif change in ("occluded", "outside"):
        part[change] = not part[change]
    elif change == "attributes":
        part["attributes"].append({"spec_id": 10, "value": "x"})
    elif change == "z_order":
        part["z_order"] += 1
    else:
        sealed[change] += 1
    assert not is_own(sealed, record)


@pytest.mark.parametrize("score", [0, 0.5, 0.87, 0.999, 1.0])
@pytest.mark.parametrize("source", ["semi-auto", "auto", "manual"])
def test_what_others_wrote_is_not_sealed(score, source):
    shape = {"type": "mask", "frame": 3, "points": [0, 4, 1, 1, 2, 2], "label_id": 1, "group": 2, "source": source}
    assert not is_sealed({**shape, "score": score})


def test_the_record_stands_in_where_a_server_rounds_scores():
    shape = {
        "type": "mask",
        "frame": 3,
        "points": [0, 4, 1, 1, 2, 2],
        "label_id": 1,
        "source": "semi-auto",
        "score": 0.5,
    }
    sealed = {**seal(shape), "id": 5}
    rounded = {**sealed, "score": 0.5}
    assert not is_sealed(rounded)
    assert is_own(rounded, {"shape 5": digest(sealed)})
    assert not is_own({**rounded, "id": 6}, {"shape 5": digest(sealed)})
