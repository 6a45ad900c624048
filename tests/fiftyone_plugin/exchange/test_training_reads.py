"""What the plugin writes is what training reads: predictions nobody touched are no truth."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest

from agss_model.errors import AgssError
from agss_model.video import VideoWriter
from fiftyone_plugin.data.labels import encode_mask, fingerprint
from training.annotations.catalog import open_catalog


def square(left):
    mask = np.zeros((48, 64), bool)
    mask[10:30, left : left + 20] = True
    return mask


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 10, (64, 48)) as writer:
        for _ in range(5):
            writer.write(np.full((48, 64, 3), 90, np.uint8))
    sample = fo.Sample(filepath=str(path))
    for number in (1, 2, 3):
        box, inside = encode_mask(square(4 * number))
        label = fo.Detection(label="cat", bounding_box=box, mask=inside, index=3, confidence=0.7)
        if number > 1:
            label["tracked"] = fingerprint(label)
        if number == 3:
            label.bounding_box = [box[0] + 4 / 64, *box[1:]]  # somebody moved it
        sample.frames[number] = fo.Frame(gt=fo.Detections(detections=[label]))
    dataset = fo.Dataset("training-reads")
    dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def test_human_and_corrected_labels_are_read_pixel_for_pixel(dataset):
    video = open_catalog(["fiftyone:training-reads/frames.gt"]).videos[0]
    assert video.truth.frames() == (0, 2)
    assert video.truth.frames("all") == (0, 1, 2)
    assert video.labels == {3: "cat"}
    assert ((video.truth.label_map(0) == 3) == square(4)).all()
    assert ((video.truth.label_map(2) == 3) == square(16)).all()
    with video.open() as frames:
        assert frames.size == (64, 48)


@pytest.mark.parametrize(
    ("place", "message"), [("nobody/frames.gt", "no dataset 'nobody'"), ("training-reads/frames.no", "no field")]
)
def test_a_missing_dataset_or_field_is_named(dataset, place, message):
    with pytest.raises(AgssError, match=message):
        open_catalog([f"fiftyone:{place}"])
