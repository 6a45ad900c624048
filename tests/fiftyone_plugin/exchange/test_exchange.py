"""Out to folders and back, masks bit by bit; CVAT's XML onto videos."""

from __future__ import annotations

import json
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from format_readers import READERS
from little_videos import detection, drawn, masks_of, video_sample, write_images, write_video

from agss_model.errors import AgssError
from agss_model.evaluation import open_dataset
from agss_model.formats.registry import FORMATS
from agss_model.masks import encode_cvat_mask, read_label_map
from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.fields import input_field
from fiftyone_plugin.exchange.exporting import Exporter

SIZE = (128, 96)
FRAMES = 4  # of each video in `data`


@pytest.mark.parametrize("layout", ["davis", "youtube-vos"])
def test_masks_survive_the_way_out_and_back(operator, data, scene, tmp_path, layout):
    out = tmp_path / "out"
    result = operator("export_training")(data, "gt", str(out), layout=layout)
    assert (result["sequences"], result["frames"]) == (["a", "b"], 2 * FRAMES)
    sequences = open_dataset(out, layout)
    assert [sequence.name for sequence in sequences] == ["a", "b"]
    for sequence in sequences:
        assert len(sequence.frames) == FRAMES
        for t in range(FRAMES):
            label_map = sequence.truth(t)
            assert all(np.array_equal(label_map == i, mask) for i, mask in scene.masks(t).items())
    result = operator("import_annotations")(data, str(out), "back", format=layout)
    assert (result["clips"], result["frames"], result["objects"], result["added"]) == (2, 2 * FRAMES, 4, 0)
    for sample in data:
        for t in range(FRAMES):
            found = masks_of(sample, t, "back", SIZE)
            assert all(np.array_equal(found[i], mask) for i, mask in scene.masks(t).items())
    labels = data.first().frames[1]["back"].detections
    assert [(label.label, label.index, label.keyframe) for label in labels] == [
        ("square", 1, True),
        ("square", 2, True),
    ]
    assert len(set(data.values("frames.back.detections.instance.id", unwind=True))) == 4


@pytest.mark.parametrize("layout", FORMATS)
def test_every_format_has_one_writer_for_runs_and_datasets(operator, data, scene, tmp_path, layout):
    out = tmp_path / "out"
    result = operator("export_training")(data, "gt", str(out), layout=layout)
    assert (result["sequences"], result["frames"], result["failed"]) == (["a", "b"], 2 * FRAMES, {})
    if layout in READERS:
        places = [out] if FORMATS[layout].shared else [out / "a", out / "b"]
        for place in places:
            found = dict(READERS[layout](place, SIZE))
            assert list(found) == list(range(FRAMES))
            assert all(np.array_equal(found[t] == i, mask) for t in found for i, mask in scene.masks(t).items())


def test_a_second_export_into_a_folder_adds_to_it(operator, data, tmp_path):
    for number in range(2):
        operator("export_training")(data.skip(number).limit(1), "gt", str(tmp_path / "out"), layout="youtube-vos")
    assert list(json.loads((tmp_path / "out" / "meta.json").read_text())["videos"]) == ["a", "b"]


def test_an_empty_dataset_is_filled_from_a_folder(operator, data, scene, tmp_path):
    operator("export_training")(data, "gt", str(tmp_path / "out"))
    images = fo.Dataset()
    result = operator("import_annotations")(images, str(tmp_path / "out"), format="davis")
    assert result["added"] == 2 * FRAMES
    assert "frame_number" in images.get_field_schema()  # of the object that the caller has
    assert images.media_type == "image"
    for sample in images:
        found = masks_of(sample, 0, "ground_truth", SIZE)
        expected = scene.masks(sample["frame_number"])
        assert all(np.array_equal(found[i], mask) for i, mask in expected.items())
    images.delete()


def test_only_frames_whose_objects_were_all_drawn_are_training_data(operator, data, scene, tmp_path):
    sample = data.first()
    for number in (2, 3):
        labels = sample.frames[number]["gt"].detections
        for label in labels[number - 2 :]:  # both tracked on frame 2, one on frame 3
            label["keyframe"] = False
            label["tracked"] = _print(label)
    sample.save()
    result = operator("export_training")(data, "gt", str(tmp_path / "human"))
    assert (result["frames"], result["partial"]) == (2 * FRAMES - 2, 1)
    assert "1 frame left out" in result["summary"]
    assert sorted(path.stem for path in (tmp_path / "human" / "Annotations" / "480p" / "a").iterdir()) == [
        "00000",
        "00003",
    ]
    assert operator("export_training")(data, "gt", str(tmp_path / "all"), labels="all")["frames"] == 2 * FRAMES


def _print(label):
    from fiftyone_plugin.data.labels import fingerprint

    return fingerprint(label)


def test_images_are_copied_as_they_are(operator, scene, tmp_path):
    paths = write_images(tmp_path / "images", scene, 3)
    images = fo.Dataset()
    images.add_samples([fo.Sample(filepath=p, order=t, gt=drawn(scene, t)) for t, p in enumerate(paths)])
    operator("export_training")(images, "gt", str(tmp_path / "out"), sort_field="order")
    (folder,) = (tmp_path / "out" / "JPEGImages" / "480p").iterdir()
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [Path(path).read_bytes() for path in paths]
    images.delete()


def test_where_objects_overlap_the_smaller_one_shows_and_it_is_told(operator, scene, tmp_path):
    large, small = np.zeros((96, 128), bool), np.zeros((96, 128), bool)
    large[10:60, 10:60], small[20:30, 20:30] = True, True
    path = write_video(tmp_path / "a.mp4", scene, 1)
    data = fo.Dataset()
    labels = [detection(small, index=7), detection(large, index=2)]
    data.add_sample(video_sample(path, {0: fo.Detections(detections=labels)}))
    result = operator("export_training")(data, "gt", str(tmp_path / "out"), layout="youtube-vos")
    assert result["overlapping"] == 100
    label_map = read_label_map(tmp_path / "out" / "Annotations" / "a" / "00000.png")
    assert np.array_equal(label_map == 7, small)
    meta = json.loads((tmp_path / "out" / "meta.json").read_text())
    assert meta["videos"]["a"]["objects"]["7"] == {"category": "square", "frames": ["00000"]}
    data.delete()


@pytest.mark.parametrize("layout", ["davis", "cvat"])
def test_parts_of_a_video_are_written_apart(operator, data, scene, tmp_path, layout):
    parts = data.limit(1).to_clips([[(1, 2), (3, 4)]])
    result = operator("export_training")(parts, "gt", str(tmp_path / "out"), layout=layout)
    assert result["sequences"] == ["a_frames_1_to_2", "a_frames_3_to_4"]
    assert result["frames"] == FRAMES
    assert f"written to {tmp_path / 'out'}: a_frames_1_to_2, a_frames_3_to_4." in result["summary"]
    if layout == "davis":
        second = open_dataset(tmp_path / "out", layout)[1]
        assert [path.stem for path in second.frames] == ["00002", "00003"]
        assert np.array_equal(second.truth(0) == 1, scene.masks(2)[1])


def test_nothing_is_overwritten(operator, data, tmp_path):
    operator("export_training")(data, "gt", str(tmp_path / "out"))
    with pytest.raises(AgssError, match="exists already"):
        operator("export_training")(data, "gt", str(tmp_path / "out"))
    with pytest.raises(AgssError, match="'gt' already holds labels"):
        operator("import_annotations")(data, str(tmp_path / "out"), "gt", format="davis")


def test_of_two_exports_into_one_folder_the_second_is_told_who_holds_it(data, tmp_path):
    out = tmp_path / "out"
    labels, clips = input_field(data, "gt"), find_clips(data, None, None)
    first = iter(Exporter(data, clips, labels, out, "youtube-vos", "all"))
    next(first)
    with pytest.raises(AgssError, match=r"out is being written by process \d+"):
        list(Exporter(data, clips, labels, out, "youtube-vos", "all"))
    assert not out.exists()  # it comes as a whole
    list(first)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".mp4"] == ["out"]
    assert list(json.loads((out / "meta.json").read_text())["videos"]) == ["a", "b"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AgssError, match="is a file"):
        list(Exporter(data, clips, labels, tmp_path / "file", "davis", "all"))


def cvat_xml(path, tracks, *, source="a.mp4", frames=FRAMES, start=0):
    meta = (
        f"<meta><task><id>1</id><name>job</name><size>{frames}</size><mode>interpolation</mode><overlap>0</overlap>"
        f"<start_frame>{start}</start_frame><stop_frame>{start + frames - 1}</stop_frame><frame_filter></frame_filter>"
        f"<segments><segment><id>1</id><start>0</start><stop>{frames - 1}</stop><url>u</url></segment></segments>"
        f"<original_size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></original_size><source>{source}</source>"
        "</task></meta>"
    )
    path.write_text(f"<?xml version='1.0'?><annotations><version>1.1</version>{meta}{tracks}</annotations>")
    return str(path)


def mask_track(number, t, mask):
    *runs, left, top, right, bottom = encode_cvat_mask(mask)
    rle = ", ".join(map(str, runs))
    return (
        f'<track id="{number}" label="cat" source="manual"><mask frame="{t}" keyframe="1" outside="0" occluded="0" '
        f'rle="{rle}" left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}" z_order="0">'
        "</mask></track>"
    )


def test_masks_of_cvat_are_exact_and_on_the_right_frames(operator, data, scene, tmp_path):
    tracks = mask_track(0, 2, scene.masks(2)[1]) + mask_track(1, 3, scene.masks(3)[2])
    path = cvat_xml(tmp_path / "job.xml", tracks)
    result = operator("import_annotations")(data, path, "cvat")
    assert (result["clips"], result["frames"]) == (1, 2)
    sample = data.first()
    (third,), (fourth,) = (masks_of(sample, t, "cvat", SIZE).values() for t in (2, 3))
    assert np.array_equal(third, scene.masks(2)[1])
    assert np.array_equal(fourth, scene.masks(3)[2])
    assert sample.frames[3]["cvat"].detections[0].label == "cat"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "other.mp4"}, "no video called 'other'"),
        ({"start": 2}, "reach frame 5, but a.mp4 ends with frame 3"),
    ],
)
def test_annotations_of_another_video_are_refused(operator, data, scene, tmp_path, options, words):
    track = mask_track(0, options.get("start", 0), scene.masks(0)[1])
    path = cvat_xml(tmp_path / "job.xml", track, **options)
    with pytest.raises(AgssError, match=words):
        operator("import_annotations")(data, path, "cvat")


def test_bad_settings(operator, data, tmp_path):
    export, take = operator("export_training"), operator("import_annotations")
    with pytest.raises(AgssError, match="layout is 'voc'; choose coco, coco-video, yolo, davis"):
        export(data, "gt", str(tmp_path / "x"), layout="voc")
    with pytest.raises(AgssError, match="no folder was given"):
        export(data, "gt", "")
    with pytest.raises(AgssError, match="choose davis, youtube-vos, cvat"):
        take(data, str(tmp_path), format="coco")
    with pytest.raises(AgssError, match="does not exist"):
        take(data, str(tmp_path / "nothing"), format="davis")
    with pytest.raises(AgssError, match="no path was given"):
        take(data, "")
