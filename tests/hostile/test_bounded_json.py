"""JSON from outside is weighed before it is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agss_model.bounded_json import JsonError, JsonTooLargeError, loads, read_json, values_in
from agss_model.errors import AgssError
from agss_model.evaluation import open_dataset
from agss_model.formats.names import read_names
from agss_model.weights import bundles
from agss_model.weights.bundles import find_bundle

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


@pytest.mark.parametrize("text", [b"[" * 50_000, b"nul", b"", b'{"a":' * 50_000, b"1" * 5000])
def test_files_are_read_the_same_way(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')  # as some programs begin theirs on Windows
    assert read_json(path) == {"a": 1}
    path.write_bytes(text)
    with pytest.raises(JsonError):
        read_json(path)


def test_files_that_would_take_gigabytes_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b"{}," * 10_000_000 + b"1]")
    with pytest.raises(JsonTooLargeError, match="at most 10000000"):
        read_json(path)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(JsonTooLargeError, match="has 1048576 MiB"):
        read_json(path)


@pytest.mark.parametrize(
    "read", [read_names, lambda root: open_dataset(root, "youtube-vos"), lambda root: find_bundle("team")]
)
def test_deep_files_are_sentences_everywhere(tmp_path, monkeypatch, read):
    """Python gives up on them with an error of its own kind, which half of the readers did not expect."""
    monkeypatch.setattr(bundles, "store_folder", lambda: tmp_path)
    for name in ("meta.json", "team/current.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[" * 100_000)
    for folder in ("JPEGImages/a", "Annotations/a"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / folder / ("00000.jpg" if folder[0] == "J" else "00000.png"))
    with pytest.raises(AgssError, match=r"meta\.json|current\.json"):
        read(tmp_path)
