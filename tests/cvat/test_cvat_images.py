"""Exports as they are downloaded: packed, and "CVAT for images 1.1"."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from test_cvat import CONTRACT, SQUARE, mask_of, mask_track, polygon_track, rle
from test_cvat import export as export_video

from agss_model.cvat import read_cvat_xml
from agss_model.cvat.authorship import Names, sign_track
from agss_model.errors import MediaError

MASK = mask_of(1, 1)


def packed(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_xml", ".xml"), content)
    return path


def image(number, shapes="", width=48, height=32):
    return f'<image id="{number}" name="{number}.png" width="{width}" height="{height}">{shapes}</image>\n'


def mask(source="manual", group=""):
    group = f' group_id="{group}"' if group else ""
    return f'<mask label="cat" source="{source}" occluded="0" {rle(MASK)} z_order="0"{group}></mask>'


POLYGON = f'<polygon label="dog" source="manual" occluded="0" points="{SQUARE}" z_order="0"></polygon>'


def export(path, images, mode="annotation"):
    """A task of single images, whose head names no size."""
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><id>3</id>'
        f"<name>pictures</name><size>4</size><mode>{mode}</mode></task></meta>\n{images}</annotations>"
    )
    return path


def test_the_recorded_exports_say_the_same_in_both_forms():
    of_images, of_video = (read_cvat_xml(CONTRACT / f"{form}_1.1.xml")[0] for form in ("images", "video"))
    assert [entry.label for entry in of_images.objects] == [entry.label for entry in of_video.objects]
    for frame in range(7):
        assert (of_images.label_map(frame, "all") == of_video.label_map(frame, "all")).all()
    thing = next(entry.id for entry in of_images.objects if entry.label == "quay")
    assert all(thing not in of_images.known(frame) for frame in range(7))
    assert any("6 polygons count as interpolated" in problem.text for problem in of_images.problems)


@pytest.mark.parametrize("name", ["video_1.1.xml", "images_1.1.xml"])
def test_a_zip_is_read_as_it_was_downloaded(tmp_path, name):
    path = packed(tmp_path / "a.zip", annotations_xml=(CONTRACT / name).read_text())
    assert len(read_cvat_xml(path)[0].objects) == len(read_cvat_xml(CONTRACT / name)[0].objects) == 3


def test_tasks_of_images_have_a_size_and_drawn_polygons(tmp_path):
    images = image(0, mask(group=4) + POLYGON) + image(1) + image(3, mask(source="auto", group=4))
    video = read_cvat_xml(export(tmp_path / "a.xml", images))[0]
    assert (video.width, video.height, video.frame_count) == (48, 32, 4)
    assert video.frames() == (0,)
    assert video.frames("all") == (0, 3)
    assert (video.mask(4, 0) == MASK).all()
    assert video.label_map(0).max() > 0
    assert len(video.known(0)) == 2


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (image(0) + image(1, width=50), r"line 4: image 1 of task 'pictures' has 50x32 pixels .* 48x32"),
        (image(4), r"image 4 is none of task 'pictures', which has 4 frames"),
        (image(0, POLYGON.replace("12.00", "x")), r"<polygon> of image 0: points is no list of numbers"),
        (image(0, POLYGON.replace('label="dog"', "")), "<polygon> of image 0 has no label"),
        (image(0) + mask_track(1, 0, MASK), "side by side"),
        ("", "original_size/width of task 'pictures' is missing.*Export tasks of images as 'CVAT for images 1.1'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, images, message):
    with pytest.raises(MediaError, match=message):
        read_cvat_xml(export(tmp_path / "a.xml", images))


def test_a_zip_without_annotations_or_damaged_is_refused(tmp_path):
    with pytest.raises(MediaError, match=r"has no annotations\.xml; export as"):
        read_cvat_xml(packed(tmp_path / "a.zip", labels_xml="<x/>"))
    good = packed(tmp_path / "b.zip", annotations_xml=export_video(tmp_path / "a.xml", "").read_text() + " " * 5000)
    data = bytearray(good.read_bytes())
    data[60:80] = b"\xff" * 20
    (tmp_path / "c.zip").write_bytes(data)
    with pytest.raises(MediaError, match=r"c\.zip is a damaged ZIP file"):
        read_cvat_xml(tmp_path / "c.zip")


def head_of_a_job(path):
    """In an export of a job in the middle of its task the size stands beside the job, as CVAT writes it."""
    text = path.read_text().replace("<task>", "<job>").replace("</source></task>", "</source></job>")
    size = "<original_size><width>48</width><height>32</height></original_size>"
    path.write_text(text.replace(size, "").replace("</job>", f"</job><dumped>now</dumped>{size}"))
    return path


def test_the_export_of_a_job_in_the_middle_of_its_task_counts_from_its_first_frame(tmp_path):
    tracks = mask_track(0, 21, MASK, group=1, copy_at=22) + mask_track(1, 22, MASK, group=1, copy_at=23)
    video = head_of_a_job(export_video(tmp_path / "v.xml", tracks, start=20, segments=((20, 29),)))
    images = image(21, mask(group=1), 48, 32) + image(22, mask(group=1), 48, 32)
    pictures = head_of_a_job(export_video(tmp_path / "i.xml", images, start=20, segments=((20, 29),)))
    for path in (video, pictures):
        [read] = read_cvat_xml(path)
        assert (read.width, read.height, read.frame_count, read.start_frame) == (48, 32, 10, 20)
        assert [entry.label for entry in read.objects] == ["cat"]
        assert read.frames("human") == (1, 2)


def test_signatures_hold_in_the_export_of_a_job_in_the_middle_of_its_task(tmp_path):
    square = np.array([2, 2, 12, 2, 12, 12, 2, 12], float)
    shapes = [
        {"frame": frame, "type": "polygon", "points": (square + frame - 20).tolist(), "outside": False, "z_order": 0}
        for frame in (20, 24, 26)
    ]
    track = sign_track(
        {"label_id": "dog", "group": 4, "source": "manual", "frame": 20, "shapes": shapes}, Names(), {20}
    )
    rows = [
        (s["frame"], True, False, ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(s["points"], (-1, 2))))
        for s in track["shapes"]
    ]
    path = tmp_path / "v.xml"
    head_of_a_job(export_video(path, polygon_track(0, rows, group=4), start=20, segments=((20, 29),)))
    assert read_cvat_xml(path)[0].frames("human") == (0,)


def test_the_export_of_such_a_job_names_images_that_are_not_its_own(tmp_path):
    path = head_of_a_job(export_video(tmp_path / "i.xml", image(7, mask()), start=20, segments=((20, 29),)))
    with pytest.raises(MediaError, match="image 7 is none of task"):
        read_cvat_xml(path)
