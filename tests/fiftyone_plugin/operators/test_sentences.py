"""What users are told when something is wrong: a sentence they can act on."""

from __future__ import annotations

import shutil

import av
import fiftyone as fo
import numpy as np
import pytest
from fiftyone.core.odm import get_db_conn
from little_videos import drawn, video_sample, write_images, write_video
from pymongo.errors import OperationFailure

from agss_model.errors import AgssError
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

NONE_NEEDED = object()


@pytest.fixture
def video(scene, tmp_path):
    return write_video(tmp_path / "squares.mp4", scene, frames=4)


@pytest.fixture
def data(video, scene):
    made = fo.Dataset()
    made.add_sample(video_sample(video, {1: drawn(scene, 1)}))
    yield made
    made.delete()


def refused(collection, network=NONE_NEEDED, **settings):
    with pytest.raises(AgssError) as error:
        TrackingRun(collection, TrackSettings(**{"input_annotation_field": "gt", **settings}), network)
    return str(error.value)


def test_an_empty_view(data):
    assert "the view is empty" in refused(data.match(fo.ViewField("filepath") == "nothing"))


def test_a_field_that_is_not_there_lists_those_that_are(data):
    assert refused(data, input_annotation_field="truth") == (
        "the frames of these videos have no field 'truth'; fields that would do: gt (Detections or Polylines)."
    )


def test_a_field_of_another_type(data):
    data.add_frame_field("weather", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    assert "'weather' holds Classification" in refused(data, input_annotation_field="weather")
    assert "give another name" in refused(data, output_annotation_field="weather")


def test_no_labels_in_the_field(data):
    data.add_frame_field("empty", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    assert "'empty' holds no label in this view; draw the objects" in refused(data, input_annotation_field="empty")


def test_an_output_field_that_cannot_be_a_name(data):
    assert "cannot be the name of a field" in refused(data, output_annotation_field="my tracks")


def test_a_model_file_that_is_missing(data):
    assert "nothing.safetensors" in refused(data, None, model="nothing.safetensors")
    assert "lite" in refused(data, None, model="large")


def test_an_unknown_direction(data):
    assert "choose both, forward, backward" in refused(data, direction="sideways")


def test_patches_and_frames_are_no_clips(data, scene, tmp_path):
    data.compute_metadata()
    frames = data.to_frames(sample_frames=True, output_dir=str(tmp_path / "frames"))
    assert "single frames of videos" in refused(frames)


@pytest.mark.parametrize("names", ["1.png 01.png", "1.png 1.png"])
def test_images_whose_names_do_not_tell_their_order(scene, tmp_path, names):
    images, (path, *_) = fo.Dataset(), write_images(tmp_path / "images", scene, 1)
    for name in names.split():
        shutil.copy(path, tmp_path / name)
        images.add_sample(fo.Sample(filepath=str(tmp_path / name), gt=drawn(scene, 0)))
    first, second = names.split()
    said = f"{first} and {second} are one file or have the same numbers, so their order is unknown"
    assert said in refused(images)
    images.delete()


def test_images_in_an_unknown_order(scene, tmp_path):
    images = fo.Dataset()
    paths = write_images(tmp_path / "images", scene, 3)
    for path, place in zip(paths, "aab", strict=True):
        images.add_sample(fo.Sample(filepath=path, place=place, gt=drawn(scene, 0)))
    assert "have the same place (a), so their order is unknown" in refused(images, sort_field="place")
    assert "there is no field 'time'" in refused(images, sort_field="time")
    sample = images.first()
    sample["place"] = None
    sample.save()
    assert "has no value of 'place'" in refused(images, sort_field="place")
    images.delete()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 0.5])]), "four numbers"),
        (fo.Polylines(polylines=[fo.Polyline(label="a", points=[[(0, 0), (1, 1), (0, 1)]])]), "open line"),
    ],
)
def test_labels_that_are_no_region(video, little_network, value, words):
    made = fo.Dataset()
    made.add_sample(video_sample(video, {2: value}))
    with pytest.raises(AgssError, match=f"squares.mp4.*frame 3.*{words}"):
        list(TrackingRun(made, TrackSettings("gt", "tracks"), little_network))
    made.delete()


def test_labels_beyond_the_end(data, scene, little_network):
    sample = data.first()
    sample.frames[9] = fo.Frame(gt=drawn(scene, 1))
    sample.save()
    with pytest.raises(AgssError, match="frame 9 is labelled, but squares has 4 frames"):
        list(TrackingRun(data, TrackSettings("gt", "tracks"), little_network))


def test_a_variable_frame_rate_is_told(scene, tmp_path, little_network):
    path = tmp_path / "uneven.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        for t, tick in enumerate((0, 1, 2, 20)):
            frame = av.VideoFrame.from_ndarray(scene.frame(t), format="rgb24")
            frame.pts = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    made = fo.Dataset()
    made.add_sample(video_sample(path, {0: drawn(scene, 0)}))
    run = TrackingRun(made, TrackSettings("gt", "tracks"), little_network)
    list(run)
    assert run.summary.tracked == 1
    assert "uneven.mp4 has a variable frame rate" in str(run.summary)
    made.delete()


def test_a_database_that_refuses_to_write(data, little_network):
    run = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
    frames = data._frame_collection_name
    get_db_conn().command("collMod", frames, validator={"nothing": {"$exists": True}})
    with pytest.raises(AgssError, match=r"database cannot be written: .*failed validation.*may write.*run again"):
        list(run)


def test_a_user_who_may_only_read(data, little_network, monkeypatch):
    """With the answer that MongoDB gives such a user."""

    def refuse(*_, **__):
        raise OperationFailure("not authorized on fiftyone to execute command { update }", 13)

    run = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
    monkeypatch.setattr(fo.Dataset, "add_frame_field", refuse)
    with pytest.raises(AgssError, match=r"database cannot be written: not authorized.*may write"):
        list(run)


def test_different_sizes_in_one_sequence(scene, make_scene, tmp_path, little_network):
    first = write_images(tmp_path / "images", scene, 2)
    second = write_images(tmp_path / "large", make_scene(size=(64, 64)), 1)
    images = fo.Dataset()
    images.add_samples([fo.Sample(filepath=path, order=t) for t, path in enumerate([*first, *second])])
    sample = images.first()
    sample["gt"] = drawn(scene, 0)
    sample.save()
    with pytest.raises(AgssError, match="give all frames one size"):
        list(TrackingRun(images, TrackSettings("gt", "tracks", "order"), little_network))
    images.delete()


def test_every_object_is_drawn_twice(data, scene, little_network):
    sample = data.first()
    labels = sample.frames[2]["gt"].detections
    labels[1].index = labels[0].index
    sample.save()
    with pytest.raises(AgssError, match="frame 2 has two labels of object 'square'"):
        list(TrackingRun(data, TrackSettings("gt", "tracks"), little_network))


def test_a_label_outside_the_frame_is_left_out_and_told(data, scene, little_network):
    sample = data.first()
    sample.frames[2]["gt"].detections.append(
        fo.Detection(label="far", bounding_box=[2, 2, 0.1, 0.1], mask=np.ones((3, 3), bool), index=9)
    )
    sample.save()
    run = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
    list(run)
    assert "1 label without a pixel in the frame left out" in str(run.summary)
