from __future__ import annotations

import numpy as np
import pytest
import torch
from little_data import draw_still, encode, encode_mask, make_shard, make_stills

from agss_model.errors import ConfigError, MediaError
from training.data import evaluation_data
from training.data.stills import few_ids, load_stills
from training.loop.settings import from_dict
from training.loop.sources import open_sources, split
from training.synthesis.scenes import cut_out


def test_shards_and_unpacked_folders_give_the_same_pictures(tmp_path):
    make_shard(tmp_path / "tars" / "stills-00.tar")
    packed = load_stills(tmp_path / "tars", size=96)
    unpacked = load_stills(make_stills(tmp_path / "loose", count=3), size=96)
    assert torch.equal(packed.images, unpacked.images)
    assert torch.equal(packed.masks, unpacked.masks)
    assert packed.counts() == {"stills-00_set": 3}
    assert packed.images.dtype == torch.uint8


def test_unusable_stills_are_left_out_and_counted(tmp_path):
    make_stills(tmp_path, count=2)
    picture, mask = draw_still(7)
    broken = {
        "blobs__a": (b"not an image", encode_mask(mask)),
        "blobs__b": (encode(picture, ".jpg")[:60], encode_mask(mask)),
        "blobs__c": (encode(picture, ".jpg"), None),
        "blobs__d": (encode(picture, ".jpg"), b"\x89PNG\r\n\x1a\nrest"),
        "blobs__e": (encode(picture, ".jpg"), encode_mask(mask[:-1])),
        "blobs__f": (encode(picture, ".jpg"), encode_mask(mask * 0)),
        "blobs__g": (b"", encode_mask(mask)),
    }
    for name, (image, drawn) in broken.items():
        (tmp_path / "images" / f"{name}.jpg").write_bytes(image)
        if drawn is not None:
            (tmp_path / "masks" / f"{name}.png").write_bytes(drawn)
    pool = load_stills(tmp_path, size=96)
    assert len(pool.names) == len(pool.images) == 2
    assert pool.skipped == {
        "unreadable image": 3, "missing or unreadable mask": 2, "mask of another size": 1, "mask without object": 1,
    }  # fmt: skip


def test_a_hole_in_the_shards_is_counted_and_too_few_are_refused(tmp_path):
    for number in (0, 2):
        make_shard(tmp_path / f"stills-{number:02d}.tar")
    assert load_stills(tmp_path, size=96).skipped == {"missing shard": 1}
    with pytest.raises(MediaError, match="wants 3 shards"):
        load_stills(tmp_path, shards=3)


def test_a_damaged_shard_is_named(tmp_path):
    tar = make_shard(tmp_path / "stills-00.tar")
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 3])
    with pytest.raises(MediaError, match=r"stills-00\.tar is damaged"):
        load_stills(tmp_path)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(MediaError, match=r"stills-\*\.tar"):
        load_stills(tmp_path)


def test_evaluation_frames_are_refused_for_stills_too(tmp_path, monkeypatch):
    make_stills(tmp_path / "mine")
    first = min((tmp_path / "mine" / "images").iterdir())
    monkeypatch.setattr(evaluation_data, "_recorded", lambda: frozenset([evaluation_data.digest(first)]))
    with pytest.raises(ConfigError, match="scores are measured on"):
        open_sources(from_dict({}, "test"), tmp_path / "mine")


def test_parts_of_a_person_are_one_object_and_cut_out_whole(tmp_path):
    picture, mask = draw_still(1, objects=3)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    (tmp_path / "images" / "ccp__1.jpg").write_bytes(encode(picture, ".jpg"))
    (tmp_path / "masks" / "ccp__1.png").write_bytes(encode_mask(mask))
    pool = load_stills(tmp_path, size=96)
    assert [instance.ids for instance in pool.instances] == [(1, 2, 3)]
    inside = cut_out(pool, pool.instances)[0].numpy()
    assert (inside[:72] == (mask > 0)).all()
    assert inside[72:].sum() == 0  # below is the mirror image
    assert cut_out(pool, pool.instances, mirrored=True)[0, 72:].sum() > 0


def test_boxes_and_areas_fit_the_masks(tmp_path):
    pool = load_stills(make_stills(tmp_path, count=4, objects=2), size=64)
    assert len(pool.instances) == 8
    for instance in pool.instances:
        inside = cut_out(pool, [instance])[0].numpy() > 0
        left, top, right, bottom = instance.box
        assert instance.area == inside.sum()
        assert np.flatnonzero(inside.any(0))[[0, -1]].tolist() == [left, right - 1]
        assert np.flatnonzero(inside.any(1))[[0, -1]].tolist() == [top, bottom - 1]


def test_held_out_stills_are_not_among_the_others(tmp_path):
    pool = load_stills(make_stills(tmp_path, count=6), size=64)
    used, kept = split(pool, 2)
    assert used.names + kept.names == pool.names
    assert {i.still for i in kept.instances} == {0, 1}
    assert split(pool, 6)[1] is None


def test_ids_of_any_size_become_small_and_of_too_many_the_largest_stay():
    label_map = np.zeros((4, 600), np.uint16)
    label_map[:, :300] = np.arange(1000, 1300)
    label_map[:, 300:560] = np.repeat(np.arange(5, 265), 1)
    label_map[0, 560:] = 7  # larger than the others, and 5 comes before it
    few = few_ids(label_map)
    assert few.dtype == np.uint8
    assert few.max() == 254
    assert (few[label_map == 7] == few[0, 560]).all()
    assert few[0, 560] > 0
    assert few_ids(np.array([[0, 9], [300, 9]], np.uint16)).tolist() == [[0, 1], [2, 1]]
    assert not few_ids(np.zeros((2, 2), np.uint8)).any()
