"""The script's own geometry, in the browser, against agss_model.masks and against its promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from thinning_cases import CASES, check

from agss_model.masks import Polygon, decode_cvat_mask, encode_cvat_mask, mask_to_polygons, polygons_to_mask

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
    rings = script("(points) => vos.outlineOf(vos.decodeMask(points))", [encode_cvat_mask(mask) for mask in masks])
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


def test_simplified_rings_stay_within_the_tolerance(script):
    rings = [max((p.outer for p in mask_to_polygons(mask)), key=area) for mask in random_masks(40)]
    for tolerance in (0.75, 2.0):
        short = script(f"(ring) => vos.simplify(ring, {tolerance})", [ring.ravel().tolist() for ring in rings])
        for ring, result in zip(rings, short, strict=True):
            assert distance(ring, np.reshape(result, (-1, 2))) <= tolerance + 1e-9
        assert sum(map(len, short)) < 0.6 * sum(ring.size for ring in rings)


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


def moving(kind: str, frames: int) -> list[np.ndarray]:
    """Masks of one object over time in a picture of 240 x 180."""
    rng = np.random.default_rng(2)
    out = []
    for t in range(frames):
        mask = np.zeros((180, 240), np.uint8)
        if kind == "rigid":
            cv2.rectangle(mask, (20 + 4 * t, 40 + t), (70 + 4 * t, 90 + t), 1, -1)
        elif kind == "growing":
            cv2.ellipse(mask, (100, 90), (20 + t, 30 + t // 2), 20, 0, 360, 1, -1)
        elif kind == "turning":
            corners = cv2.boxPoints(((110 + t, 90), (80, 40), 3.0 * t))
            cv2.fillPoly(mask, [corners.round().astype(int)], 1)
        else:
            cv2.circle(mask, (60 + 3 * t, 90), 30, 1, -1)
            noise = cv2.GaussianBlur(rng.random(mask.shape).astype(np.float32), (0, 0), 2)
            mask &= (noise > np.quantile(noise, 0.1)).astype(np.uint8)
        out.append(mask.astype(bool))
    return out


def keyframes(script, masks: list[np.ndarray], tolerance: float, order: list[int]) -> dict[int, np.ndarray]:
    body = """({ frames, tolerance }) => {
        const keys = new vos.Keyframes(tolerance);
        for (const { frame, points } of frames) {
            points ? keys.add(frame, vos.outlineOf(vos.decodeMask(points))) : keys.lose();
        }
        return keys.finish();
    }"""
    frames = [{"frame": f, "points": encode_cvat_mask(masks[f]) if masks[f].any() else None} for f in order]
    [keys] = script(body, [{"frames": frames, "tolerance": tolerance}])
    return {key["frame"]: np.reshape(key["ring"], (-1, 2)) for key in keys}


def distance(outline: np.ndarray, ring: np.ndarray) -> float:
    """Largest distance of a corner of `outline` from `ring`, in pixels."""
    a, b = ring, np.roll(ring, -1, axis=0)
    along = b - a
    t = ((outline[:, None] - a) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = a + t.clip(0, 1)[..., None] * along
    return float(np.linalg.norm(outline[:, None] - nearest, axis=-1).min(axis=1).max())


def interpolated(keys: dict[int, np.ndarray], frame: int) -> np.ndarray:
    left, right = max(k for k in keys if k <= frame), min(k for k in keys if k >= frame)
    if left == right:
        return keys[left]
    assert keys[left].shape == keys[right].shape, "interpolation between polygons whose corners do not correspond"
    t = (frame - left) / (right - left)
    return (1 - t) * keys[left] + t * keys[right]


@pytest.mark.parametrize("kind", ["rigid", "growing", "turning", "ragged"])
@pytest.mark.parametrize("tolerance", [1.5, 4.0])
def test_tracks_stay_within_the_tolerance_on_every_frame(script, kind, tolerance):
    masks = moving(kind, 24)
    for order in (list(range(24)), list(range(23, -1, -1))):
        keys = keyframes(script, masks, tolerance, order)
        assert {0, 23} <= keys.keys()
        for frame, mask in enumerate(masks):
            outline = max((p.outer for p in mask_to_polygons(mask)), key=area)
            polygon = interpolated(keys, frame)
            assert max(distance(outline, polygon), distance(polygon, outline)) <= tolerance + 1e-6


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.tolerance}")
def test_the_table_that_the_job_keeps_too(script, case):
    for order in (list(range(case.frames)), list(range(case.frames - 1, -1, -1))):
        check(case, keyframes(script, case.masks(), case.tolerance, order))


def test_a_moving_object_needs_two_keyframes(script):
    assert sorted(keyframes(script, moving("rigid", 24), 1.5, list(range(24)))) == [0, 23]


def test_more_tolerance_gives_fewer_keyframes(script):
    masks, order = moving("turning", 24), list(range(24))
    counts = [len(keyframes(script, masks, tolerance, order)) for tolerance in (1.5, 3.0, 6.0)]
    assert counts[0] > counts[1] > counts[2]
    assert counts[1] <= 6


def test_nothing_is_interpolated_across_a_gap(script):
    masks = moving("rigid", 12)
    masks[5] = masks[6] = np.zeros_like(masks[0])
    assert sorted(keyframes(script, masks, 2.0, list(range(12)))) == [0, 4, 7, 11]


def test_points_of_the_fixtures_are_read(script, shared_data):
    import json

    annotations = json.loads((shared_data.parent / "fixtures" / "cvat" / "task_annotations_api.json").read_text())
    points = [shape["points"] for shape in annotations["shapes"]]
    back = script("(p) => vos.encodeMask(vos.decodeMask(vos.checkedMask(p, { width: 160, height: 96 })))", points)
    assert back == points
    assert decode_cvat_mask(back[0], width=160, height=96).any()
