from __future__ import annotations

import math
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco

from agss_model.errors import MaskError, MediaError, OutputError
from agss_model.masks import (
    DAVIS_PALETTE,
    Polygon,
    decode_coco_rle,
    decode_cvat_mask,
    encode_coco_rle,
    encode_cvat_mask,
    encode_label_map,
    mask_to_polygons,
    object_ids,
    polygons_to_mask,
    read_label_map,
    to_label_map,
    to_masks,
    validate_label_map,
    write_label_map,
)
from agss_model.masks.doubts import smoothed_values, void_border
from agss_model.masks.files import read_drawn_map
from agss_model.masks.polygons import fitting

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=14)
MASKS = hnp.arrays(np.bool_, SHAPES)
LABEL_MAPS = st.one_of(
    hnp.arrays(np.uint8, SHAPES),
    hnp.arrays(np.uint16, SHAPES, elements=st.sampled_from([0, 1, 255, 256, 4000, 65535])),
)


def iou(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


# Label maps


@given(LABEL_MAPS)
def test_masks_of_a_label_map_join_to_the_same_label_map(label_map):
    masks = to_masks(label_map)
    assert tuple(masks) == object_ids(label_map) == tuple(np.unique(label_map[label_map > 0]).tolist())
    np.testing.assert_array_equal(to_label_map(masks, shape=label_map.shape), label_map)


@given(LABEL_MAPS, st.randoms())
def test_the_order_of_objects_does_not_matter_without_overlap(label_map, random):
    items = list(to_masks(label_map).items())
    random.shuffle(items)
    np.testing.assert_array_equal(to_label_map(dict(items), shape=label_map.shape), label_map)


def test_overlap_is_refused_or_the_last_wins():
    left, right = np.array([[True, True, False]]), np.array([[False, True, True]])
    with pytest.raises(MaskError, match="objects 4 and 9 overlap in 1 pixels"):
        to_label_map({4: left, 9: right})
    assert to_label_map({4: left, 9: right}, on_overlap="last").tolist() == [[4, 9, 9]]
    assert to_label_map({9: right, 4: left}, on_overlap="last").tolist() == [[4, 4, 9]]


@pytest.mark.parametrize("object_id", [0, -1, 65536, 1.0, True, "1"])
def test_ids_that_are_not_1_to_65535_are_refused(object_id):
    with pytest.raises(MaskError, match="object id"):
        to_label_map({object_id: np.ones((2, 2), np.bool_)})


def test_masks_of_other_sizes_or_types_are_refused():
    with pytest.raises(MaskError, match=r"object 2 has shape \(2, 3\)"):
        to_label_map({1: np.ones((2, 2), np.bool_), 2: np.ones((2, 3), np.bool_)})
    with pytest.raises(MaskError, match="must be a bool array"):
        to_label_map({1: np.ones((2, 2), np.uint8)})
    with pytest.raises(MaskError, match="pass shape="):
        to_label_map({})
    assert to_label_map({}, shape=(1, 1)).tolist() == [[0]]


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 1), np.uint8), np.zeros((0, 2), np.uint8), [[1]]]
)
def test_what_is_no_label_map_is_refused(array):
    with pytest.raises(MaskError, match="label map must be"):
        validate_label_map(array)


def test_a_mask_of_another_size_than_the_frame_names_both():
    with pytest.raises(MaskError, match="3x2 pixels but the frame is 5x4"):
        validate_label_map(np.zeros((2, 3), np.uint8), shape=(4, 5))


# Files


@given(label_map=LABEL_MAPS)
def test_a_written_label_map_reads_back_the_same(label_map, tmp_path_factory):
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    write_label_map(path, label_map)
    back = read_label_map(path)
    np.testing.assert_array_equal(back, label_map)
    assert back.dtype == (np.uint8 if label_map.max() <= 255 else np.uint16)


def test_the_file_is_indexed_with_the_davis_palette(tmp_path):
    write_label_map(tmp_path / "mask.png", np.array([[0, 1], [2, 255]], np.uint16))
    image = Image.open(tmp_path / "mask.png")
    assert image.mode == "P"
    assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    assert image.convert("RGB").getpixel((1, 1)) == (224, 224, 192)
    assert DAVIS_PALETTE[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert len(np.unique(DAVIS_PALETTE, axis=0)) == 256


def test_a_failed_write_says_so_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_label_map(tmp_path / "missing" / "mask.png", np.zeros((1, 1), np.uint8))
    (tmp_path / "mask.png").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_label_map(tmp_path / "mask.png", np.zeros((1, 1), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def raw_png(path, width, height, depth, colour_type, rows, palette=None):
    """A PNG built byte by byte, so that no library chooses the bit depth."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + (chunk(b"PLTE", palette) if palette else b"")
    body += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour_type", [0, 3], ids=["grey", "indexed"])
def test_stored_values_of_every_bit_depth_are_the_ids(tmp_path, depth, colour_type):
    values = (np.arange(24).reshape(3, 8) * 7) % 2**depth
    bits = (values[:, :, None] >> np.arange(depth)[::-1]) & 1
    rows = [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in bits]
    # Every palette entry has the same colour: only the index tells objects apart.
    palette = b"\x20\x40\x60" * 2**depth if colour_type == 3 else None
    path = raw_png(tmp_path / "mask.png", 8, 3, depth, colour_type, rows, palette)
    np.testing.assert_array_equal(read_label_map(path), values)


def test_16_bit_grey_keeps_ids_above_255(tmp_path):
    path = raw_png(tmp_path / "mask.png", 2, 1, 16, 0, [struct.pack(">HH", 3, 40000)])
    label_map = read_label_map(path)
    assert label_map.dtype == np.uint16
    assert label_map.tolist() == [[3, 40000]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_palette_colours_of_rgb_masks_become_ids(tmp_path, mode):
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(DAVIS_PALETTE[ids]).convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "mask.png"), ids)


def test_transparent_pixels_are_background_and_white_on_black_is_255(tmp_path):
    pixels = np.array([[[128, 0, 0, 0], [128, 0, 0, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    assert read_label_map(tmp_path / "alpha.png").tolist() == [[0, 1]]
    Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).save(tmp_path / "white.png")
    assert read_label_map(tmp_path / "white.png").tolist() == [[0, 255]]


def test_a_colour_outside_the_palette_is_named_with_its_place(tmp_path):
    pixels = np.zeros((3, 4, 3), np.uint8)
    pixels[2, 1] = 10, 20, 30
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(MaskError, match=r"\(10, 20, 30\) at x=1, y=2.*indexed PNG"):
        read_label_map(tmp_path / "mask.png")


def test_unusable_mask_files_are_refused(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        read_label_map(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(MediaError, match="not an image"):
        read_label_map(tmp_path / "text.png")
    Image.new("L", (9, 9)).save(tmp_path / "lossy.jpg")
    with pytest.raises(MaskError, match="JPEG"):
        read_label_map(tmp_path / "lossy.jpg")
    Image.new("L", (16385, 1)).save(tmp_path / "wide.png")
    with pytest.raises(MediaError, match="16385x1"):
        read_label_map(tmp_path / "wide.png")
    write_label_map(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 9, (90, 90), dtype=np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    with pytest.raises(MediaError, match="damaged"):
        read_label_map(tmp_path / "cut.png")


# CVAT run lengths


@given(MASKS.filter(np.any))
def test_cvat_points_round_trip_also_as_floats(mask):
    points = encode_cvat_mask(mask)
    height, width = mask.shape
    np.testing.assert_array_equal(decode_cvat_mask(points, width=width, height=height), mask)
    np.testing.assert_array_equal(decode_cvat_mask([float(p) for p in points], width=width, height=height), mask)


def test_cvat_points_by_hand():
    mask = np.zeros((50, 60), np.bool_)
    mask[20:40, 20:40] = True
    assert encode_cvat_mask(mask) == [0, 400, 20, 20, 39, 39]
    mask[20, 20] = False
    assert encode_cvat_mask(mask) == [1, 399, 20, 20, 39, 39]
    assert not decode_cvat_mask([4, 0, 0, 1, 1], width=2, height=2).any()


def test_an_empty_mask_has_no_cvat_points():
    with pytest.raises(MaskError, match="empty mask"):
        encode_cvat_mask(np.zeros((3, 3), np.bool_))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([0, 0, 0, 0], "at least 5"),
        ([0, 4, 0, 0, 2, 1], "not inside the 2x2 image"),
        ([0, 4, -1, 0, 1, 1], "not inside"),
        ([0, 4, 1, 0, 0, 1], "not inside"),
        ([0, 3, 0, 0, 1, 1], "cover 3 pixels"),
        ([0, 5, 0, 0, 1, 1], "cover 5 pixels"),
        ([0, 10**15, 0, 0, 1, 1], "cover 1000000000000000 pixels"),
        ([2**52] * 4096 + [4, 0, 0, 1, 1], "cover"),
        ([5, -1, 0, 0, 1, 1], "negative"),
        ([0, 2.5, 1.5, 0, 0, 1, 1], "integers"),
        ([0, math.nan, 0, 0, 1, 1], "integers"),
        ([0, math.inf, 0, 0, 1, 1], "integers"),
        (["a", 4, 0, 0, 1, 1], "integers"),
        ([[0, 4, 0, 0, 1, 1]], "integers"),
        (None, "integers"),
    ],
)
def test_hostile_cvat_points_are_refused_before_they_are_expanded(points, reason):
    with pytest.raises(MaskError, match=reason):
        decode_cvat_mask(points, width=2, height=2)


# COCO RLE


@given(MASKS)
def test_coco_rle_round_trips_and_agrees_with_pycocotools(mask):
    rle = encode_coco_rle(mask)
    np.testing.assert_array_equal(decode_coco_rle(rle), mask)
    np.testing.assert_array_equal(coco.decode(rle).astype(bool), mask)
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, flat.size]).tolist()
    plain = {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}
    np.testing.assert_array_equal(decode_coco_rle(plain), mask)


def test_large_coco_runs_survive():
    mask = np.zeros((3000, 2000), np.bool_)
    mask[100:2900, 5:1990] = True
    np.testing.assert_array_equal(decode_coco_rle(encode_coco_rle(mask)), mask)


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        ({"size": [2, 2]}, "'counts'"),
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 pixels"),
        ({"size": [2, 2], "counts": [5, -1]}, "negative"),
        ({"size": [0, 2], "counts": []}, "size"),
        ({"size": [10**9, 1], "counts": [10**9]}, "size"),
        ({"size": [2, 2], "counts": "ooooooooooooooooo"}, "compressed form"),
        ({"size": [2, 2], "counts": "o"}, "cut off"),
        ({"size": [2, 2], "counts": "\x01"}, "compressed form"),
        ({"size": [2, 2], "counts": "oooooo0"}, "cover"),
    ],
)
def test_hostile_coco_rle_is_refused(rle, reason):
    with pytest.raises(MaskError, match=reason):
        decode_coco_rle(rle)


# Polygons


@given(MASKS)
def test_exact_polygons_round_trip(mask):
    height, width = mask.shape
    polygons = mask_to_polygons(mask)
    np.testing.assert_array_equal(polygons_to_mask(polygons, width=width, height=height), mask)
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(polygons) == parts - 1


def test_polygons_by_hand():
    mask = np.zeros((5, 7), np.bool_)
    mask[1:4, 1:4] = True
    mask[2, 2] = False
    mask[4, 6] = True
    ring, dot = mask_to_polygons(mask)
    assert {tuple(point) for point in ring.outer.tolist()} == {(1, 1), (4, 1), (4, 4), (1, 4)}
    assert {tuple(point) for point in ring.holes[0].tolist()} == {(2, 2), (3, 2), (3, 3), (2, 3)}
    assert {tuple(point) for point in dot.outer.tolist()} == {(6, 4), (7, 4), (7, 5), (6, 5)}
    assert mask_to_polygons(np.zeros((3, 3), np.bool_)) == []


@given(MASKS.filter(np.any), st.floats(0.1, 30))
def test_simplified_polygons_change_only_pixels_near_the_outline(mask, tolerance):
    height, width = mask.shape
    polygons = mask_to_polygons(mask, tolerance)
    back = polygons_to_mask(polygons, width=width, height=height)
    assert back.any()
    centres = [np.argwhere(back != mask)[:, ::-1] + 0.5]
    corners = np.argwhere(boundary_corners(mask))[:, ::-1]
    for point in np.concatenate(centres):
        assert np.hypot(*(corners - point).T).min() <= tolerance + 0.71 + 0.5


def boundary_corners(mask):
    """Pixel corners whose four pixels are not all alike."""
    padded = np.pad(mask, 1)
    around = padded[:-1, :-1].astype(int) + padded[:-1, 1:] + padded[1:, :-1] + padded[1:, 1:]
    return (around > 0) & (around < 4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_objects_of_one_or_two_pixels_survive_any_tolerance(shape):
    mask = np.zeros((9, 9), np.bool_)
    mask[4 : 4 + shape[0], 4 : 4 + shape[1]] = True
    back = polygons_to_mask(mask_to_polygons(mask, tolerance=5.0), width=9, height=9)
    np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize("radius", [14, 40, 150])
@pytest.mark.parametrize("tolerance", [0.8, 1.0, 2.0])
def test_the_loss_on_discs_stays_within_the_stated_bound(radius, tolerance):
    side = 2 * radius + 20
    mask = cv2.circle(np.zeros((side, side), np.uint8), (side // 2, side // 2), radius, 1, -1) > 0
    polygons = mask_to_polygons(mask, tolerance)
    assert iou(polygons_to_mask(polygons, width=side, height=side), mask) >= 1 - 2 * (tolerance + 0.71) / radius
    assert len(polygons[0].outer) < len(mask_to_polygons(mask)[0].outer) / 2


def test_polygons_with_fractions_fill_the_pixels_whose_centres_they_hold():
    triangle = Polygon.from_flat([0, 0, 4, 0, 0, 4])
    expected = [[x + 0.5 + y + 0.5 < 4 for x in range(5)] for y in range(5)]
    np.testing.assert_array_equal(polygons_to_mask([triangle], width=5, height=5), expected)
    assert triangle.to_flat() == [0, 0, 4, 0, 0, 4]
    outside = Polygon.from_flat([-50.0, -50, 2, -50, 2, 1.2, -50, 1.2])
    assert np.argwhere(polygons_to_mask([outside], width=3, height=3)).tolist() == [[0, 0], [0, 1]]
    assert not polygons_to_mask([Polygon.from_flat([9, 9, 12, 9, 9, 12])], width=3, height=3).any()


@pytest.mark.parametrize("points", [[0, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, 1, math.nan, 2, 2], ["x"] * 6, [[0, 0]] * 3])
def test_what_is_no_polygon_is_refused(points):
    with pytest.raises(MaskError, match="polygon"):
        Polygon.from_flat(points)


def disc(radius, centre=(40, 50), shape=(80, 100)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_255_is_a_border_only_where_it_is_thin_and_around_others():
    border = np.where(disc(20), 1, 0) + np.where(disc(24) & ~disc(20), 255, 0)
    assert np.array_equal(void_border(border.astype(np.uint8)), border == 255)
    for objects in (np.where(disc(20), 255, 0), np.where(disc(20), 1, 0) + np.where(disc(38) & ~disc(20), 255, 0)):
        assert void_border(objects.astype(np.uint8)) is None
    apart = np.where(disc(15, (20, 20)), 1, 0) + np.where(disc(4, (70, 90)), 255, 0)
    assert void_border(apart.astype(np.uint8)) is None


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3])
def test_smoothed_edges_of_grey_masks_are_noticed_and_many_small_objects_are_not(sigma):
    smooth = cv2.GaussianBlur(np.where(disc(25), 255, 0).astype(np.uint8), (0, 0), sigma)
    assert smoothed_values(smooth)
    assert not smoothed_values(np.where(disc(25), 255, 0).astype(np.uint8))
    dots = np.zeros((80, 100), np.uint8)
    dots[disc(25)] = 200
    for number in range(1, 100):
        dots[(number % 10) * 8 : (number % 10) * 8 + 2, number // 10 * 10 : number // 10 * 10 + 2] = number
    assert not smoothed_values(dots)


def test_what_was_drawn_is_read_with_a_word_about_the_border(tmp_path):
    border = np.where(disc(20), 1, 0) + np.where(disc(24) & ~disc(20), 255, 0)
    write_label_map(tmp_path / "border.png", border.astype(np.uint8))
    notes = []
    assert object_ids(read_drawn_map(tmp_path / "border.png", notes)) == (1,)
    assert "255" in notes[0]
    cv2.imwrite(
        str(tmp_path / "smooth.png"), cv2.GaussianBlur(np.where(disc(25), 255, 0).astype(np.uint8), (0, 0), 1.5)
    )
    with pytest.raises(MaskError, match="smoothed edges"):
        read_drawn_map(tmp_path / "smooth.png", [])


def test_masks_of_a_run_can_have_one_depth():
    small = np.ones((4, 4), np.uint8)
    assert encode_label_map(small, wide=True)[24:26] == b"\x10\x00"  # 16 bits, grey
    assert encode_label_map(small)[24:26] == b"\x08\x03"  # 8 bits, palette


def turned(length, breadth, angle, centre=(32.3, 31.6)):
    y, x = np.mgrid[:64, :64] + 0.5
    along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    return (np.abs(along) < length / 2) & (np.abs(across) < breadth / 2)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.7, 1.2])
@pytest.mark.parametrize(("length", "breadth"), [(8, 8), (12, 12), (16, 16), (20, 20), (40, 4), (40, 8)])
def test_polygons_of_small_and_thin_objects_stay_close_to_them(length, breadth, angle):
    """A pixel is nothing to a large object and a quarter of one of eight pixels."""
    mask = turned(length, breadth, angle)
    back = polygons_to_mask(mask_to_polygons(mask, tolerance=1.0), width=64, height=64)
    assert iou(back, mask) > 0.94


def test_a_tolerance_counts_as_it_is_for_what_is_not_small():
    square = np.array([[0, 0], [20, 0], [20, 20], [0, 20]], float)
    assert fitting(2.0, square) == 2.0
    assert fitting(2.0, square / 2) == 1.0
    assert fitting(1.0, square[::-1] / 4) == 0.25
    assert fitting(1.0, np.array([[0, 0], [100, 0], [100, 4], [0, 4]], float)) == pytest.approx(0.385, abs=0.001)
