"""Out to CVAT's XML and back: masks bit by bit, the same objects, on the same frames."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from little_videos import detection, drawn, masks_of, video_sample, write_images, write_video

from agss_model.cvat import read_cvat_xml
from agss_model.errors import AgssError
from agss_model.video import VideoFile
from fiftyone_plugin.data.labels import fingerprint, is_untouched
from training.annotations.cvat_export import read_export

SIZE = (128, 96)
FRAMES = 4  # of each video in `data`


def predicted(label):
    label["keyframe"] = False
    label["tracked"] = fingerprint(label)


def test_masks_survive_the_way_to_cvat_and_back(operator, data, scene, tmp_path):
    out = tmp_path / "out"
    result = operator("export_training")(data, "gt", str(out), layout="cvat")
    assert (result["sequences"], result["frames"], result["overlapping"]) == (["a", "b"], 2 * FRAMES, 0)
    assert result["summary"] == f"2 sequences with masks on 8 frames written to {out}: a, b."
    for name in ("a", "b"):
        assert {path.name for path in (out / name).iterdir()} == {f"{name}.mp4", "annotations.xml"}
        assert (out / name / f"{name}.mp4").read_bytes() == (tmp_path / f"{name}.mp4").read_bytes()
        (video,) = read_cvat_xml(out / name / "annotations.xml")
        assert (video.source, video.frame_count, video.problems) == (f"{name}.mp4", FRAMES, ())
        assert [(entry.id, entry.label) for entry in video.objects] == [(1, "square"), (2, "square")]
    result = operator("import_annotations")(data, str(out), "back")
    assert (result["clips"], result["frames"], result["objects"], result["added"]) == (2, 2 * FRAMES, 4, 0)
    for sample in data:
        for t in range(FRAMES):
            found = masks_of(sample, t, "back", SIZE)
            assert found.keys() == {1, 2}
            assert all(np.array_equal(found[i], mask) for i, mask in scene.masks(t).items())
    assert all(data.values("frames.back.detections.keyframe", unwind=True))
    assert len(set(data.values("frames.back.detections.instance.id", unwind=True))) == 4


def test_two_hundred_random_masks_that_overlap_come_back_exactly(operator, scene, tmp_path):
    rng = np.random.default_rng(7)
    names = {3: "cat", 58: "dög & <co>", 4000: "cat", 12: 'a "b"', 1: "猫"}
    truth = {}
    for t in range(60):
        truth[t] = {i: rng.random(SIZE[::-1]) < rng.random() for i in names if rng.random() < 0.75}
        truth[t] = {i: mask for i, mask in truth[t].items() if mask.any()}
    assert sum(map(len, truth.values())) > 200
    labels = {
        t: fo.Detections(detections=[detection(mask, index=i, label=names[i]) for i, mask in masks.items()])
        for t, masks in truth.items()
    }
    data = fo.Dataset()
    data.add_sample(video_sample(write_video(tmp_path / "v.mp4", scene, len(truth)), labels))
    operator("export_training")(data, "gt", str(tmp_path / "out"), layout="cvat")
    operator("import_annotations")(data, str(tmp_path / "out" / "v" / "annotations.xml"), "back")
    sample = data.first()
    for t, masks in truth.items():
        found = masks_of(sample, t, "back", SIZE)
        assert found.keys() == masks.keys()
        assert all(np.array_equal(found[i], mask) for i, mask in masks.items())
    back = [label for value in data.values("frames.back.detections")[0] for label in value or ()]
    assert {(label.index, label.label) for label in back} == set(names.items())
    data.delete()


def test_of_cvat_each_object_counts_by_itself_and_predictions_stay_predictions(operator, data, tmp_path):
    sample = data.first()
    predicted(sample.frames[2]["gt"].detections[0])
    for label in sample.frames[3]["gt"].detections:
        predicted(label)
    sample.save()
    first = data.select(sample.id)
    human = operator("export_training")(first, "gt", str(tmp_path / "human"), layout="cvat")
    assert (human["frames"], human["partial"]) == (FRAMES - 1, 0)
    (video,) = read_cvat_xml(tmp_path / "human" / "a" / "annotations.xml")
    assert (video.known(1), video.known(2)) == ((2,), ())
    everything = operator("export_training")(first, "gt", str(tmp_path / "all"), layout="cvat", labels="all")
    assert everything["frames"] == FRAMES
    (video,) = read_cvat_xml(tmp_path / "all" / "a" / "annotations.xml")
    assert (video.known(1), video.known(1, "all"), video.known(2, "all")) == ((2,), (1, 2), (1, 2))
    operator("import_annotations")(data, str(tmp_path / "all" / "a"), "back", include="all")
    back = {t: data.first().frames[t + 1]["back"].detections for t in range(FRAMES)}
    assert [[(label.keyframe, is_untouched(label)) for label in back[t]] for t in (0, 1, 2)] == [
        [(True, False)] * 2,
        [(False, True), (True, False)],
        [(False, True)] * 2,
    ]


def test_what_is_exported_can_be_fine_tuned_on(operator, data, scene, tmp_path):
    operator("export_training")(data, "gt", str(tmp_path / "out"), layout="cvat")
    (video,) = read_export(tmp_path / "out" / "a")
    with video.open() as frames, VideoFile(tmp_path / "a.mp4") as original:
        assert len(frames) == len(original) == FRAMES
        assert np.array_equal(frames.read(2), original.read(2))
    assert all((video.truth.label_map(2) == i)[mask].all() for i, mask in scene.masks(2).items())


def test_of_overlapping_objects_the_smaller_one_shows_and_none_loses_a_pixel(operator, scene, tmp_path):
    large, small = np.zeros((96, 128), bool), np.zeros((96, 128), bool)
    large[10:60, 10:60], small[20:30, 20:30] = True, True
    data = fo.Dataset()
    labels = fo.Detections(detections=[detection(small, index=2), detection(large, index=7)])
    data.add_sample(video_sample(write_video(tmp_path / "v.mp4", scene, 1), {0: labels}))
    operator("export_training")(data, "gt", str(tmp_path / "out"), layout="cvat")
    (video,) = read_cvat_xml(tmp_path / "out" / "v" / "annotations.xml")
    assert np.array_equal(video.label_map(0) == 2, small)
    assert np.array_equal(video.mask(7, 0), large)
    data.delete()


def images_of(scene, tmp_path, names):
    made = fo.Dataset()
    for name in names:
        for t, path in enumerate(write_images(tmp_path / name, scene, FRAMES)):
            made.add_sample(fo.Sample(filepath=path, street=name, order=t, gt=drawn(scene, t)))
    return made


def test_image_sequences_go_out_and_come_back_onto_the_same_images(operator, scene, tmp_path):
    images = images_of(scene, tmp_path, ("east", "west"))
    order = {"sort_field": "order", "group_field": "street"}
    result = operator("export_training")(images, "gt", str(tmp_path / "out"), layout="cvat", **order)
    assert result["sequences"] == ["east", "west"]
    copies = sorted((tmp_path / "out" / "east" / "images").iterdir())
    assert [path.name for path in copies] == [f"{t:05d}.png" for t in range(FRAMES)]
    assert [p.read_bytes() for p in copies] == [Path(p).read_bytes() for p in images.limit(FRAMES).values("filepath")]
    result = operator("import_annotations")(images, str(tmp_path / "out"), "back", **order)
    assert (result["clips"], result["frames"], result["added"]) == (2, 2 * FRAMES, 0)
    for sample in images:
        found = masks_of(sample, 0, "back", SIZE)
        assert all(np.array_equal(found[i], mask) for i, mask in scene.masks(sample["order"]).items())
    images.delete()


def test_an_empty_dataset_is_filled_with_the_images_beside_the_xml(operator, scene, tmp_path):
    images = images_of(scene, tmp_path, ("east",))
    operator("export_training")(images, "gt", str(tmp_path / "out"), layout="cvat", sort_field="order")
    empty = fo.Dataset()
    result = operator("import_annotations")(empty, str(tmp_path / "out"), "gt")
    assert (result["added"], result["frames"]) == (FRAMES, FRAMES)
    for sample in empty:
        found = masks_of(sample, 0, "gt", SIZE)
        assert all(np.array_equal(found[i], mask) for i, mask in scene.masks(sample["frame_number"]).items())
    images.delete()
    empty.delete()


def test_nothing_is_overwritten_and_what_is_missing_is_named(operator, data, tmp_path):
    out = tmp_path / "out"
    operator("export_training")(data, "gt", str(out), layout="cvat")
    with pytest.raises(AgssError, match="a exists already; choose an empty folder"):
        operator("export_training")(data, "gt", str(out), layout="cvat")
    (out / "b" / "annotations.xml").write_text("<annotations><version>1.1</version>")
    result = operator("import_annotations")(data, str(out), "back")
    assert result["clips"] == 1
    assert "ends too early" in result["summary"]
    (tmp_path / "bare").mkdir()
    with pytest.raises(AgssError, match=r"holds annotations\.xml; give the file"):
        operator("import_annotations")(data, str(tmp_path / "bare"), "more")
