"""Requests are hostile until shown otherwise: refused with a reason, before any work, and without growing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import zlib

import numpy as np
import pytest
from function_client import Clip, Function, changed, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serverless.function import contract
from serverless.function.pictures import FAINT_BYTES
from serverless.function.scenes import SHARED_BYTES

CLIP = Clip(2)
IMAGE = picture(CLIP.frame(0))


@pytest.fixture(scope="module")
def function():
    return Function()


@pytest.fixture(scope="module")
def states(function):
    begun = function.start(CLIP.frame(0), CLIP.shapes(0))
    return function.track(CLIP.frames(1, 7), begun)[1]


def refused(function, message, *statuses):
    status, reply = function.post(message)
    assert status in statuses, (status, str(reply)[:300])
    assert reply["error"]
    assert len(reply["error"]) < 600
    return reply["error"]


def init(*shapes):
    return {"image": IMAGE, "shapes": list(shapes), "states": []}


def mask(*points):
    return {"type": "mask", "points": list(points)}


def png_header(width, height):
    """A PNG that claims a size and holds hardly any pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00" * 99))


@pytest.mark.parametrize(
    "shape",
    [
        mask(0, 500, 20, 30, 44, 50), mask(0, 10**15, 0, 0, 1, 1), mask(0, 2**53 - 1, 2, 2**53, 0, 0, 1, 1),
        mask(0, -4, 8, 0, 0, 1, 1), mask(0, 3.5, 0.5, 0, 0, 1, 1), mask(0, 4, 0, 0, 4000, 0), mask(4, 0, 0, 1, 1),
        mask(0, 4, 1, 1, 0, 0), mask(0, 4, -1, 0, 0, 1), mask(1, 2, 3, 4),
        {"type": "polygon", "points": [1, 1, 20, 1]}, {"type": "polygon", "points": [1, 1, 20, 1, 20]},
        {"type": "polygon", "points": [1e12, 1, 20, 1, 20, 20]},
        {"type": "polygon", "points": [500, 500, 520, 500, 520, 520]},
        {"type": "rectangle", "points": [5, 5, 5, 50]}, {"type": "rectangle", "points": [500, 500, 600, 600]},
        {"type": "rectangle", "points": [1, 2, 3, 4, 5]}, [1, 2, 3, 4, 5],
    ],
)  # fmt: skip
def test_shapes_that_are_none_are_refused_before_they_are_expanded(function, shape):
    refused(function, init(shape), 422)


def test_counts_at_the_limit_pass_and_one_more_is_refused(function):
    dot = mask(0, 400, 4, 4, 23, 23)
    status, _ = function.post(init(*[dot] * contract.MAX_OBJECTS))
    assert status == 200
    refused(function, init(*[dot] * (contract.MAX_OBJECTS + 1)), 413)
    corners = [4.0, 4.0, 40.0, 4.0, 40.0, 40.0]
    polygon = {"type": "polygon", "points": corners + [40.0, 40.0] * ((contract.MAX_POLYGON_NUMBERS - 6) // 2)}
    assert function.post(init(polygon))[0] == 200
    polygon["points"] += [40.0, 40.0]
    refused(function, init(polygon), 413)
    runs = [0, 1] * (contract.MAX_SHAPE_NUMBERS // 2)
    refused(function, init(mask(*runs, 0, 0, 1, 1)), 413)
    refused(function, {"image": IMAGE, "states": [None] * (contract.MAX_OBJECTS + 1)}, 413)


def test_a_long_image_is_refused_by_its_length(function, monkeypatch):
    monkeypatch.setattr(contract, "MAX_IMAGE_TEXT", len(IMAGE))
    assert function.post(init(CLIP.shapes(0)[0]))[0] == 200
    monkeypatch.setattr(contract, "MAX_IMAGE_TEXT", len(IMAGE) - 1)
    refused(function, init(CLIP.shapes(0)[0]), 413)


def test_a_jpeg_of_thousands_of_scans_is_refused_at_once(function):
    data = other_file("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    bomb = base64.b64encode(data[:-2] + data[last:-2] * 2000 + data[-2:]).decode()
    assert "scans" in refused(function, {"image": bomb, "shapes": [], "states": []}, 422)


@pytest.mark.parametrize(
    ("width", "height"), [(8193, 10), (10, 8193), (8192, 8192), (2**31 - 1, 2**31 - 1), (100_000, 100_000)]
)
def test_a_picture_that_claims_too_many_pixels_is_refused_by_its_header(function, width, height):
    image = base64.b64encode(png_header(width, height)).decode()
    refused(function, {"image": image, "shapes": [], "states": []}, 413)


def test_objects_times_pixels_are_bounded(function, monkeypatch):
    monkeypatch.setattr("serverless.function.drawing.MAX_OBJECT_PIXELS", 2 * 96 * 160)
    dot = mask(0, 400, 4, 4, 23, 23)
    assert function.post(init(dot, dot))[0] == 200
    assert "start 2 at a time" in refused(function, init(dot, dot, dot), 413)


def test_remembered_frames_times_objects_are_bounded(function, monkeypatch):
    """Each object has a mask in each frame that one of them remembers, so memory grows with the product."""
    begun = [state for t in range(3) for state in function.start(CLIP.frame(t), CLIP.shapes(t))]
    message = {"image": picture(CLIP.frame(3)), "shapes": [None] * 6, "states": begun}
    monkeypatch.setattr("serverless.function.assembly.MAX_LOOKED_AT", 3 * 6 - 1)
    assert "6 objects that remember 3 different frames" in refused(function, message, 413)
    assert function.follow(CLIP.frame(3), begun[:5])
    monkeypatch.setattr("serverless.function.assembly.MAX_LOOKED_AT", 3 * 6)
    assert function.post(message)[0] == 200


def other_file(kind, **options):
    file = io.BytesIO()
    Image.fromarray(CLIP.frame(0)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        other_file("BMP"), other_file("GIF"), other_file("TIFF"), b"%PDF-1.4", b"\x00" * 100, b"\x89PNG\r\n\x1a\n",
        png_header(160, 96), other_file("PNG")[:-30], other_file("JPEG")[:400], other_file("WEBP")[:200],
        b"\xff\xd8\xff" + b"\x00" * 50, b"RIFF\x10\x00\x00\x00WEBPVP8 ", b"<svg/>", b"P6 9 9 255 ",
        other_file("PNG", save_all=True, append_images=[Image.fromarray(CLIP.frame(1))]),
        other_file("WEBP", save_all=True, append_images=[Image.fromarray(CLIP.frame(1))]),
    ],
    ids=range(16),
)  # fmt: skip
def test_other_formats_damaged_and_animated_pictures_are_refused(function, data):
    refused(function, {"image": base64.b64encode(data).decode(), "shapes": [], "states": []}, 422)


def tampered(state):
    """States that are almost right."""
    other = base64.b64encode(other_file("WEBP", quality=50)).decode()
    bomb = base64.b64encode(zlib.compress(b"\x00" * 50_000_000, 9)).decode()
    frames = state["frames"]
    yield {}
    yield {"agss": 1}
    yield {"shape": {"type": "mask", "points": [0, 500, 20, 30, 44, 49]}, "n": 0, "i": 0, "of": 4}
    for name in state:
        yield {key: value for key, value in state.items() if key != name}
        for value in (None, -1, 10**9, "x", [], {}, [1], True, 1.5):
            yield changed(state, **{name: value})
    yield changed(state, size=[97, 160])
    yield changed(state, size=[0, 160])
    yield changed(state, carried=[state["carried"][0] + 1, state["carried"][1]])
    yield changed(state, carried=[2048, 2048])
    yield changed(state, pictures=[other])
    yield changed(state, pictures=[*state["pictures"], other])
    yield changed(state, pictures=[text[: len(text) // 2] for text in state["pictures"]])
    yield changed(state, pictures=[base64.b64encode(b"GIF89a" + b"0" * 99).decode()])
    yield changed(state, frames=frames * 5)
    yield changed(state, frames=[{**frames[0], "mask": bomb}, *frames[1:]])
    yield changed(state, frames=[{**frames[0], "mask": "AAAA"}, *frames[1:]])
    yield changed(state, frames=[{**frames[0], "mask": frames[0]["mask"][:-8]}, *frames[1:]])
    yield changed(state, frames=[{**frames[0], "picture": "0" * 32}, *frames[1:]])
    yield changed(state, frames=[{**frames[0], "picture": "../../etc/passwd"}, *frames[1:]])
    yield changed(state, frames=[{"picture": frames[0]["picture"]}])


def test_tampered_truncated_and_foreign_states_are_refused_or_harmless(function, states):
    """A changed value may still be a legal one; then there is an answer. Nothing else may happen."""
    refusals = answers = 0
    for state in tampered(states[0]):
        status, reply = function.post({"image": IMAGE, "shapes": [None], "states": [state]})
        assert status in (200, 400, 413, 422), reply
        refusals += status != 200
        answers += status == 200
    assert refusals > 100
    assert answers < 12


def test_a_state_that_does_not_begin_with_a_drawn_frame_is_refused(function, states):
    frames = [{**frame, "kept": False} for frame in states[0]["frames"]]
    message = {"image": IMAGE, "shapes": [None], "states": [changed(states[0], frames=frames)]}
    assert "State 1" in refused(function, message, 422)


def spoilt(state):
    """States of four kinds: unreadable, of another video, with a picture that is cut, and that takes too much."""
    cut = [base64.b64encode(base64.b64decode(text)[:-40]).decode() for text in state["pictures"]]
    names = {
        hashlib.sha256(base64.b64decode(a)).hexdigest()[:32]: hashlib.sha256(base64.b64decode(b)).hexdigest()[:32]
        for a, b in zip(state["pictures"], cut, strict=True)
    }
    frames = [{**frame, "picture": names.get(frame["picture"], frame["picture"])} for frame in state["frames"]]
    yield changed(state, agss=7)
    yield changed(state, size=[97, 161])
    yield changed(state, pictures=cut, frames=frames)
    yield changed(state, carried=[2048, 2048], frames=state["frames"] * 2)


def test_honest_objects_are_answered_beside_tampered_states(function, states):
    image = picture(CLIP.frame(7))
    alone = function.post({"image": image, "shapes": [None], "states": states[1:]})
    assert alone[0] == 200
    for bad in spoilt(states[0]):
        refused(function, {"image": image, "shapes": [None], "states": [bad]}, 413, 422)
        status, reply = function.post({"image": image, "shapes": [None, None], "states": [bad, states[1]]})
        assert status == 200, reply
        assert reply["shapes"][0] is None
        assert reply["states"][0] is None
        assert [reply["shapes"][1]] == alone[1]["shapes"]
        assert "left out" in function.log.lines[-2]


def test_json_is_weighed_before_it_is_parsed(function):
    assert function.send(b"[" + b"{}," * contract.MAX_VALUES + b"{}]", "text/json")[0] == 413
    assert function.send(b"[" * 100_000, "text/json")[0] == 400


def test_a_picture_of_a_state_that_is_larger_than_any_of_ours_is_refused(function, states):
    huge = base64.b64encode(png_header(4000, 4000)).decode()
    state = states[0]
    forged = changed(state, pictures=[huge])
    digest = hashlib.sha256(base64.b64decode(huge)).hexdigest()[:32]
    forged["frames"] = [{**forged["frames"][0], "picture": digest}]
    refused(function, {"image": IMAGE, "shapes": [None], "states": [forged]}, 413)


def test_many_different_frames_in_one_request_are_refused_before_they_are_looked_at(function, states):
    many = []
    for number in range(70):
        frame = CLIP.frame(0)
        frame[0, :70, 0] = np.arange(70) + number
        data = base64.b64encode(other_file("PNG") + bytes([number])).decode()  # a trailing byte: another digest
        digest = hashlib.sha256(base64.b64decode(data)).hexdigest()[:32]
        look = {**states[0]["frames"][0], "picture": digest}
        many.append(changed(states[0], frames=[look], pictures=[data]))
    refused(function, {"image": IMAGE, "shapes": [None] * 70, "states": many}, 413)


def test_masks_of_states_are_counted_before_they_are_unpacked(function, states, monkeypatch):
    pixels = states[0]["carried"][0] * states[0]["carried"][1] * len(states[0]["frames"])
    monkeypatch.setattr("serverless.function.state.MAX_MASK_PIXELS", 2 * pixels)
    message = {"image": picture(CLIP.frame(7)), "shapes": [None, None], "states": states}
    assert function.post(message)[0] == 200
    monkeypatch.setattr("serverless.function.state.MAX_MASK_PIXELS", 2 * pixels - 1)
    refused(function, message, 413)


def test_the_text_of_all_states_is_counted(function, states, monkeypatch):
    text = sum(len(f["mask"]) for s in states for f in s["frames"]) + sum(len(p) for s in states for p in s["pictures"])
    message = {"image": picture(CLIP.frame(7)), "shapes": [None, None], "states": states}
    monkeypatch.setattr("serverless.function.state.MAX_STATES_TEXT", text)
    assert function.post(message)[0] == 200
    monkeypatch.setattr("serverless.function.state.MAX_STATES_TEXT", text - 1)
    refused(function, message, 413)


def test_as_many_states_as_can_be_fit_into_what_is_taken():
    objects = contract.MAX_OBJECTS
    masks = 12_000
    assert (SHARED_BYTES + objects * (2 * FAINT_BYTES + masks)) * 4 / 3 < contract.MAX_STATES_TEXT / 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)
numbers = st.floats() | st.integers(-(10**18), 10**18) | st.integers(-3, 200)
shapes = st.fixed_dictionaries(
    {"type": st.sampled_from(["mask", "polygon", "rectangle", "ellipse"]), "points": st.lists(numbers, max_size=12)}
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just(IMAGE) | json_values,
        "shapes": st.lists(shapes | json_values, max_size=4) | json_values,
        "states": st.just([]) | st.lists(json_values, max_size=3) | json_values,
        "threshold": json_values,
    },
)
FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)


@FUZZ
@given(body=bodies | json_values, form=st.sampled_from(["dict", "text", "charset"]))
def test_no_body_is_answered_with_a_failure_of_ours(function, body, form):
    text = json.dumps(body).encode()  # NaN and Infinity as Python writes and reads them
    status, _ = function.send(text, "application/json" if form == "dict" else "application/json; charset=utf-8")
    assert status in (200, 400, 413, 422)


@FUZZ
@given(data=st.binary(max_size=200))
def test_no_bytes_are_answered_with_a_failure_of_ours(function, data):
    assert function.send(data)[0] in (400, 422)


@FUZZ
@given(data=st.data())
def test_no_mutation_of_a_state_is_answered_with_a_failure_of_ours(function, states, data):
    """One value somewhere inside is replaced, or a string is cut, or a character changed."""
    state = json.loads(json.dumps(states[data.draw(st.integers(0, 1))]))
    parent, key = data.draw(st.sampled_from(list(places(state))))
    old = parent[key]
    if isinstance(old, str) and data.draw(st.booleans()):
        cut = data.draw(st.integers(0, len(old)))
        parent[key] = old[:cut] + data.draw(st.sampled_from(["", "A", "=", "é"])) + old[cut + 1 :]
    else:
        parent[key] = data.draw(json_values)
    status, reply = function.post({"image": IMAGE, "shapes": [None], "states": [state]})
    assert status in (200, 400, 413, 422), reply


def places(value):
    """Every (container, key) inside a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def test_after_all_this_good_requests_are_answered_as_before(function, states):
    message = {"image": picture(CLIP.frame(7)), "shapes": [None, None], "states": states}
    assert function.post(message) == Function().post(message)
