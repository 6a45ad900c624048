"""The script's own geometry, in the browser, against agss_model.masks and against its promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agss_model.masks import Polygon, encode_cvat_mask, mask_to_polygons, polygons_to_mask

SIZE = {"width": 61, "height": 47}


@pytest.fixture
def script(annotation):
    """Calls a function of the script with each of many arguments at once."""
    annotation.open()

    def call(body: str, arguments: list) -> list:
        expression = f"(list) => {{ const vos = window.agssVos; return list.map({body}); }}"
        return annotation.page.evaluate(expression, arguments)

    return call


def random_masks(count: int, seed: int = 0) -> list[np.ndarray]:
    """Blobs, noise, single pixels and full frames."""
    rng = np.random.default_rng(seed)
    masks = [np.ones((SIZE["height"], SIZE["width"]), bool), np.zeros((SIZE["height"], SIZE["width"]), bool)]
    masks[1][3, 60] = True
    while len(masks) < count:
        noise = rng.random((SIZE["height"], SIZE["width"])).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.1, 4)))
        mask = smooth > np.quantile(smooth, rng.uniform(0.05, 0.99))
        if mask.any():
            masks.append(mask)
    return masks


def test_run_lengths_are_read_and_written_as_in_python(script):
    points = [encode_cvat_mask(mask) for mask in random_masks(60)]
    assert script("(points) => vos.encodeMask(vos.decodeMask(points))", points) == points


def test_masks_with_an_empty_margin_are_cut_to_their_pixels(script):
    boxes = []
    for mask in random_masks(20):
        boxes.append({"left": 0, "top": 0, **SIZE, "data": mask.astype(int).ravel().tolist()})
    expected = [encode_cvat_mask(mask) for mask in random_masks(20)]
    assert script("(box) => vos.encodeMask({ ...box, data: Uint8Array.from(box.data) })", boxes) == expected
    nothing = {"left": 0, "top": 0, "width": 3, "height": 2, "data": [0] * 6}
    assert script("(box) => vos.encodeMask({ ...box, data: Uint8Array.from(box.data) })", [nothing]) == [None]


def test_polygons_cover_the_same_pixels_as_in_python(script):
    rng = np.random.default_rng(1)
    rings = [rng.uniform(-20, 80, 2 * rng.integers(3, 12)).round(2).tolist() for _ in range(60)]
    rings += [rng.integers(-5, 60, 2 * rng.integers(3, 9)).astype(float).tolist() for _ in range(60)]
    masks = [polygons_to_mask([Polygon.from_flat(ring)], **SIZE) for ring in rings]
    expected = [encode_cvat_mask(mask) if mask.any() else None for mask in masks]
    assert any(points is None for points in expected)
    image = f"{{ width: {SIZE['width']}, height: {SIZE['height']} }}"
    assert script(f"(ring) => vos.maskOfPolygon(ring, {image})", rings) == expected


def test_outlines_are_those_of_the_largest_part_in_python(script):
    masks = random_masks(60)
    rings = script("(points) => vos.ringOf(vos.decodeMask(points))", [encode_cvat_mask(mask) for mask in masks])
    for mask, ring in zip(masks, rings, strict=True):
        candidates = [polygon.outer for polygon in mask_to_polygons(mask)]
        largest = max(map(area, candidates))
        expected = [canonical(outer) for outer in candidates if area(outer) == largest]
        assert canonical(np.reshape(ring, (-1, 2))) in expected


def area(ring: np.ndarray) -> float:
    x, y = np.asarray(ring, float).T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


def canonical(ring: np.ndarray) -> list[tuple[int, int]]:
    points = [(int(x), int(y)) for x, y in ring]
    at = points.index(min(points))
    return points[at:] + points[:at]


@pytest.mark.parametrize(
    "points",
    [
        [0, 4, 0, 0, 1], [0, 5, 0, 0, 1, 1], [-1, 5, 0, 0, 1, 1], [0, 4.5, 0, 0, 1, 1], [0, 4, 3, 0, 1, 1],
        [10**9, 4, 0, 0, 1, 1], [0, "4", 0, 0, 1, 1], "text", None,
    ],
)  # fmt: skip
def test_damaged_masks_are_refused(script, points):
    body = """(points) => {
        try {
            return vos.checkedMask(points, { width: 9, height: 9 }) || 'lost';
        } catch (error) {
            return error.message;
        }
    }"""
    assert "damaged" in script(body, [points])[0]


def test_masks_without_a_pixel_in_the_image_are_no_objects(script):
    points = [[4, 0, 0, 1, 1], [4, 0, 0, 0, 1, 1], [0, 4, 9, 0, 10, 1], [0, 4, -4, -4, -3, -3], [0, 4, 8, 0, 9, 1]]
    results = script("(points) => vos.checkedMask(points, { width: 9, height: 9 })", points)
    assert results == [None, None, None, None, points[-1]]


def test_frames_are_written_as_people_do(script):
    texts = script("(frames) => vos.spans(frames)", [[3], [3, 4, 5, 9], [1, 3, 5, 7, 9, 11]])
    assert texts == ["3", "3-5, 9", "1, 3, 5, 7 and more"]


def test_frames_between_keep_order_and_skip_deleted_ones(script):
    five = [0, 1, 2, 3, 4]
    cases = [
        [five, {}, 1, 3], [five, {"3": True}, 1, 4], [five, {"0": True}, 3, 0], [[0, 5, 9], {}, 0, 8], [[1], {}, 1, 1],
    ]  # fmt: skip
    assert script("(c) => vos.framesBetween(...c)", cases) == [[2, 3], [2, 4], [2, 1], [5], []]


# -- keyframes
