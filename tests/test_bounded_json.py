"""JSON from outside is weighed before it is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.bounded_json import JsonError, JsonTooLargeError, loads, values_in

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def count(value):
    if isinstance(value, dict):
        return 1 + sum(1 + count(inner) for inner in value.values())
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


@given(values)
def test_no_text_holds_more_values_than_it_is_weighed_with(value):
    text = json.dumps(value)
    assert count(value) <= 2 * values_in(text.encode())
    assert loads(text, values_in(text.encode())) == loads(text.encode(), 10**6) == value


def test_too_many_values_and_broken_or_deep_text_are_told_apart():
    with pytest.raises(JsonTooLargeError, match="at most 5"):
        loads("[1,2,3,4,5]", 5)
    for text in ("", "{", "nul", b"\xff", "[" * 50_000, "1" * 5000):
        with pytest.raises(JsonError):
            loads(text, 10**6)
