"""The messages, as CVAT sends and expects them."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from function_client import Clip, Function, box_around, box_overlap, mask_of, overlap, picture
from PIL import Image

RECORDED = "fixtures/cvat/function_requests_recorded.jsonl"


@pytest.fixture(scope="module")
def function():
    return Function()


@pytest.fixture
def recorded(shared_data):
    path = shared_data.parent / RECORDED
    if not path.is_file():
        pytest.skip(f"needs shared/{RECORDED} beside the repository")
    return [json.loads(line) for line in path.read_text().splitlines()]


def in_type(kind, mask):
    if kind == "rectangle":
        return box_around(mask)
    left, top, right, bottom = box_around(mask)
    return [left, top, right, top, right, bottom, left, bottom]


def test_every_recorded_request_is_answered_as_cvat_needs(function, recorded):
    """Images and states are put in as the fixtures' page says; an init with the same shapes gives the states."""
    size = {}
    frames = {large: Clip(size=(1080, 1920) if large else (96, 160)).frame(0) for large in (False, True)}
    pictures = {large: picture(frame, compress_level=1) for large, frame in frames.items()}
    for line in recorded:
        body = {**line["body"]}
        large = body["image"]["b64len"] > 100_000
        body["image"] = pictures[large]
        if body["states"] and body["states"][0] is not None:
            drawn = [state["shape"] for state in body["states"]]
            body["states"] = function.start(frames[large], drawn)
        else:
            drawn = body["shapes"]
        status, reply = function.post(body)
        assert status == 200, (line["fn"], reply)
        assert set(reply) == {"shapes", "states"}
        assert len(reply["shapes"]) == len(reply["states"]) == len(drawn)
        for given, answered in zip(drawn, reply["shapes"], strict=True):
            if given is None:
                assert answered is None
            elif isinstance(given, list):
                assert isinstance(answered, list)
                assert len(answered) == 4
            elif answered is None:
                assert given["type"] != "rectangle"
            else:
                assert answered["type"] == given["type"]
        size[large] = size.get(large, 0) + 1
    assert size == {False: 16, True: 6}


def test_shapes_of_three_types_are_answered_in_their_own(function):
    clip = Clip(3)
    masks = clip.masks(0)
    kinds = ("mask", "polygon", "rectangle")
    others = [{"type": kind, "points": in_type(kind, mask)} for kind, mask in zip(kinds[1:], masks[1:], strict=True)]
    shapes = [clip.shapes(0)[0], *others]
    states = function.start(clip.frame(0), shapes)
    for t in range(1, 6):
        found, states = function.follow(clip.frame(t), states)
        assert [shape["type"] for shape in found] == list(kinds)
        truth = clip.masks(t)
        assert overlap(mask_of(found[0]["points"], 96, 160), truth[0]) > 0.6
        x, y = found[1]["points"][::2], found[1]["points"][1::2]
        assert box_overlap([min(x), min(y), max(x), max(y)], box_around(truth[1])) > 0.6
        assert box_overlap(found[2]["points"], box_around(truth[2])) > 0.6


def test_the_answer_to_an_init_shows_the_shapes_as_they_were_drawn(function):
    clip = Clip(2)
    status, reply = function.post({"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []})
    assert status == 200
    assert reply["shapes"] == clip.shapes(0)


def test_bare_rectangles_of_old_cvat_are_answered_as_bare_rectangles(function):
    clip = Clip(1)
    states = function.start(clip.frame(0), [box_around(clip.masks(0)[0])])
    for t in range(1, 4):
        found, states = function.follow(clip.frame(t), states)
        assert len(found[0]) == 4
        assert box_overlap(found[0], box_around(clip.masks(t)[0])) > 0.6


def test_no_objects_give_no_objects(function):
    image = picture(Clip().frame(0))
    for empty in ({"shapes": [], "states": []}, {"shapes": None, "states": None}, {}):
        assert function.post({"image": image, **empty}) == (200, {"shapes": [], "states": []})


def test_a_null_state_starts_the_object_and_a_null_shape_beside_it_stays_null(function):
    clip = Clip(2)
    message = {"image": picture(clip.frame(0)), "shapes": [None, clip.shapes(0)[1]], "states": [None, None]}
    status, reply = function.post(message)
    assert status == 200
    assert reply["shapes"] == [None, clip.shapes(0)[1]]
    assert reply["states"][0] is None
    found, _ = function.follow(clip.frame(1), [reply["states"][1]])
    assert overlap(mask_of(found[0]["points"], 96, 160), clip.masks(1)[1]) > 0.6


def test_one_object_can_start_where_another_goes_on(function):
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0)[:1])
    message = {"image": picture(clip.frame(1)), "shapes": [None, clip.shapes(1)[1]], "states": [states[0], None]}
    status, reply = function.post(message)
    assert status == 200
    assert overlap(mask_of(reply["shapes"][0]["points"], 96, 160), clip.masks(1)[0]) > 0.6
    found, _ = function.follow(clip.frame(2), reply["states"])
    for shape, truth in zip(found, clip.masks(2), strict=True):
        assert overlap(mask_of(shape["points"], 96, 160), truth) > 0.6


def test_keys_that_the_function_does_not_know_change_nothing(function):
    clip = Clip(1)
    message = {"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []}
    extra = {"threshold": 0.3, "weights": "/etc/passwd", "url": "http://example.invalid", "device": "cuda"}
    assert function.post(message) == function.post({**message, **extra})


def test_content_type_with_charset_arrives_as_bytes_and_is_read(function):
    clip = Clip(1)
    body = json.dumps({"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []}).encode()
    assert function.send(body, "application/json; charset=utf-8") == function.send(body)


@pytest.fixture
def blind(function, monkeypatch):
    """Makes the network find nothing, or see again."""
    see = function.scenes.network.see

    def find_nothing(*args):
        sighting = see(*args)
        return replace(sighting, masks=sighting.masks * 0)

    def switch(on):
        monkeypatch.setattr(function.scenes.network, "see", find_nothing if on else see)

    return switch


def test_a_lost_mask_is_null_and_a_lost_rectangle_stays_where_it_was(function, blind):
    clip = Clip(3)
    shapes = [
        clip.shapes(0)[0],
        {"type": "rectangle", "points": box_around(clip.masks(0)[1])},
        {"type": "polygon", "points": in_type("polygon", clip.masks(0)[2])},
    ]
    seen, states = function.follow(clip.frame(1), function.start(clip.frame(0), shapes))
    blind(True)
    for t in range(2, 5):
        found, states = function.follow(clip.frame(t), states)
        assert found == [None, seen[1], None]
        assert all(state["lost"] for state in states)


def test_a_rectangle_that_is_lost_at_once_keeps_the_drawn_box(function, blind):
    clip = Clip(1)
    states = function.start(clip.frame(0), [box_around(clip.masks(0)[0])])
    blind(True)
    found, _ = function.follow(clip.frame(1), states)
    assert box_overlap(found[0], box_around(clip.masks(0)[0])) > 0.6


def test_objects_that_were_lost_are_found_again(function, blind):
    clip = Clip(2, speed=1)
    states = function.start(clip.frame(0), clip.shapes(0))
    for t in range(1, 6):
        blind(2 <= t <= 3)
        found, states = function.follow(clip.frame(t), states)
        assert (2 <= t <= 3) == (found == [None, None])
    assert overlap(mask_of(found[0]["points"], 96, 160), clip.masks(5)[0]) > 0.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_jpeg_png_and_webp_are_read(function, kind):
    frame = Clip(1).frame(0)
    status, _ = function.post({"image": picture(frame, kind), "shapes": Clip(1).shapes(0), "states": []})
    assert status == 200


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16", "1"])
def test_grey_palette_alpha_and_sixteen_bit_pictures_are_read(function, mode):
    clip = Clip(1)
    frame = clip.frame(0)
    if mode == "I;16":
        image = Image.fromarray(frame[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(frame).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    status, reply = function.post({"image": text, "shapes": clip.shapes(0), "states": []})
    assert status == 200, reply
    assert reply["states"][0]["size"] == [96, 160]


def test_the_exif_orientation_of_a_jpeg_is_applied(function):
    clip = Clip(1, size=(160, 96))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be turned by 90 degrees
    lying = np.rot90(clip.frame(0)).copy()
    status, reply = function.post({"image": picture(lying, "JPEG", exif=exif), "shapes": clip.shapes(0), "states": []})
    assert status == 200
    assert reply["states"][0]["size"] == [160, 96]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"3", 400), (b"\xff\xfe", 400), (b"{}", 400),
        (b'{"image": 3}', 400), (b'{"image": "", "shapes": []}', 400), (b'{"image": "AAAA", "shapes": 3}', 400),
        (b'{"image": "AAAA", "shapes": [{"type": "cuboid", "points": [1, 2, 3, 4]}]}', 400),
        (b'{"image": "AAAA", "shapes": [{"type": "mask", "points": "1,2"}]}', 400),
        (b'{"image": "AAAA", "shapes": [{"type": "mask", "points": [NaN, 1, 2, 3, 4]}]}', 400),
        (b'{"image": "AAAA", "states": ["text"]}', 400), (b'{"image": "AAAA"}', 422), (b'{"image": "A"}', 422),
        (b'{"image": "not base64!"}', 422), (b"[" * 100_000, 400),
        (b'{"image": "AAAA", "shapes": [{"type": "mask", "points": [1%s, 1, 2, 3, 4]}]}' % (b"0" * 400), 400),
        (b'{"image": "\xc3\xa9"}', 422), (b'{"image": "\\ud800"}', 400),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_with_a_reason_in_answer_and_log(function, body, status):
    got, reply = function.send(body)
    assert got == status, reply
    assert reply["error"]
    line = function.log.lines[-1]
    assert reply["id"] in line
    assert reply["error"] in line
    assert str(status) in line


def test_a_get_is_refused_not_a_failure(function):
    status, reply = function.send(b"", content_type="", method="GET")
    assert status == 400
    assert reply["error"]


def test_a_good_request_after_bad_ones_gives_the_same_answer(function):
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0))
    before = function.follow(clip.frame(1), states)
    for body in (b"{", b'{"image": "AAAA"}', json.dumps({"image": picture(clip.frame(1)), "states": [{}]}).encode()):
        assert function.send(body)[0] in (400, 422)
    assert function.follow(clip.frame(1), states) == before


def test_logs_hold_no_image_data(function):
    clip = Clip(1)
    image = picture(clip.frame(0))
    function.log.lines.clear()
    function.start(clip.frame(0), clip.shapes(0))
    function.post({"image": image[:-9], "shapes": clip.shapes(0)})
    function.post({"image": image, "shapes": clip.shapes(0), "states": [{"pictures": [image]}]})
    assert len(function.log.lines) == 3
    assert all(len(line) < 500 and image[100:140] not in line for line in function.log.lines)


def test_our_own_fault_is_500_with_an_id_that_is_in_the_log(function, monkeypatch):
    def broken(*_):
        raise KeyError("something of ours")

    monkeypatch.setattr(function.scenes, "start", broken)
    clip = Clip(1)
    status, reply = function.post({"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []})
    assert status == 500
    assert "something of ours" not in json.dumps(reply)
    assert reply["id"] in function.log.lines[-1]
    assert "something of ours" in function.log.lines[-1]


@pytest.mark.parametrize("error", ["cuda", "cpu", "python"])
def test_out_of_memory_is_503_and_the_worker_goes_on(function, monkeypatch, error):
    import torch

    clip = Clip(1)
    states = function.start(clip.frame(0), clip.shapes(0))
    before = function.follow(clip.frame(1), states)
    errors = {
        "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        "python": MemoryError(),
    }

    def full(*_):
        raise errors[error]

    with monkeypatch.context() as patch:
        patch.setattr(function.scenes.network, "encode", full)
        status, reply = function.post({"image": picture(clip.frame(1)), "shapes": [None], "states": states})
    assert status == 503
    assert "memory" in reply["error"]
    assert function.scenes.cache.bytes == 0
    assert function.follow(clip.frame(1), states) == before
