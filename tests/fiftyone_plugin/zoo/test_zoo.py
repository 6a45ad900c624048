"""The tracker as a model of FiftyOne's zoo."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest
from fiftyone import ViewField as F

from agss_model.errors import AgssError, ConfigError, MaskError
from agss_model.video import VideoWriter
from fiftyone_plugin import zoo
from fiftyone_plugin.data.fields import FieldError
from fiftyone_plugin.data.labels import decode_label, encode_mask

SIZE = (128, 96)
FRAMES = 7


@pytest.fixture
def load():
    zoo.register()
    return lambda **options: foz.load_zoo_model("agss-vos-lite", device="cpu", cache=False, **options)


@pytest.fixture
def model(load):
    return load()


@pytest.fixture
def video(scene, tmp_path):
    path = tmp_path / "squares.mp4"
    with VideoWriter(path, 10, SIZE) as writer:
        for t in range(FRAMES):
            writer.write(scene.frame(t))
    return str(path)


def detection(mask, index, **more):
    box, inside = encode_mask(mask)
    return fo.Detection(label="square", bounding_box=box, mask=inside, index=index, **more)


@pytest.fixture
def dataset(video, scene):
    """One video, both squares drawn on its third frame."""
    data = fo.Dataset()
    sample = fo.Sample(filepath=video)
    drawn = [detection(mask, index) for index, mask in scene.masks(2).items()]
    sample.frames[3] = fo.Frame(prompts=fo.Detections(detections=drawn))
    data.add_sample(sample)
    yield data
    data.delete()


def test_a_prompt_on_any_frame_becomes_masks_on_all(dataset, model, scene):
    dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts", skip_failures=False)
    sample = dataset.first()
    assert [n for n, frame in sample.frames.items() if frame.tracks.detections] == list(range(1, FRAMES + 1))
    drawn = {d.index: d for d in sample.frames[3].tracks.detections}
    for index, mask in scene.masks(2).items():
        assert np.array_equal(decode_label(drawn[index], *SIZE), mask)
        assert drawn[index].keyframe
        assert drawn[index].confidence == 1.0
    instances = {}
    for frame in sample.frames.values():
        for found in frame.tracks.detections:
            assert 0 <= found.confidence <= 1
            assert found.label == "square"
            instances.setdefault(found.index, set()).add(found.instance.id)
    assert set(instances) == {1, 2}
    assert all(len(ids) == 1 for ids in instances.values())
    assert len(sample.frames[3].prompts.detections) == 2


def test_forward_only_leaves_the_frames_before(dataset, load):
    model = load(direction="forward")
    dataset.apply_model(model, label_field="tracks", prompt_field="prompts", skip_failures=False)
    with_masks = dataset.match_frames(F("tracks.detections").length() > 0).values("frames.frame_number")[0]
    assert with_masks == list(range(3, FRAMES + 1))


def test_boxes_and_polygons_are_prompts_too(video, model, scene):
    data = fo.Dataset()
    sample = fo.Sample(filepath=video)
    y, x = np.nonzero(scene.masks(0)[1])
    corners = [(x.min() / 128, y.min() / 96), ((x.max() + 1) / 128, (y.max() + 1) / 96)]
    (left, top), (right, bottom) = corners
    box = [left, top, right - left, bottom - top]
    square = [(left, top), (right, top), (right, bottom), (left, bottom)]
    sample.frames[1] = fo.Frame(
        lines=fo.Polylines(polylines=[fo.Polyline(label="square", points=[square], closed=True, filled=True)]),
        boxes=fo.Detections(detections=[fo.Detection(label="square", bounding_box=box)]),
    )
    data.add_sample(sample)
    for field in ("lines", "boxes"):
        data.apply_model(model, label_field=f"from_{field}", prompt_field=f"frames.{field}", skip_failures=False)
        found = data.first().frames[1][f"from_{field}"].detections[0]
        mask = decode_label(found, *SIZE)
        assert (mask & scene.masks(0)[1]).sum() / (mask | scene.masks(0)[1]).sum() > (0.99 if field == "lines" else 0.7)
    data.delete()


def test_a_clip_gets_masks_on_its_frames_only(dataset, model):
    clips = dataset.to_clips([[(2, 5)]])
    clips.apply_model(model, label_field="tracks", prompt_field="frames.prompts", skip_failures=False)
    numbers = dataset.match_frames(F("tracks.detections").length() > 0).values("frames.frame_number")[0]
    assert numbers == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("label_field", "prompt_field", "words"),
    [
        ("frames.tracks", "frames.prompts", r"would lose every mask.*'tracks'"),
        (None, "frames.prompts", "would lose every mask"),
        ("prompts", "frames.prompts", "both 'prompts'"),
        ("tracks", "frames.prompt", r"no field 'prompt'.*prompts"),
        ("tracks", "frames.weather", "holds Classification"),
        ("weather", "frames.prompts", "holds Classification"),
    ],
)
def test_wrong_fields_stop_before_the_first_video(dataset, model, label_field, prompt_field, words):
    """FiftyOne's default is to log failures and go on, and some names it takes without storing anything."""
    dataset.add_frame_field("weather", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    model.predict = lambda *_, **__: pytest.fail("a video was tracked")
    with pytest.raises(FieldError, match=words):
        dataset.apply_model(model, label_field=label_field, prompt_field=prompt_field)


def test_what_is_missing_or_unknown_is_named(dataset, model, load):
    with pytest.raises(ConfigError, match="prompt_field"):
        dataset.apply_model(model, label_field="tracks")
    with pytest.raises(ConfigError, match=r"direction.*load_zoo_model"):
        dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts", direction="forward")
    with pytest.raises(ConfigError, match="'way' is not an option"):
        load(way="forward")
    with pytest.raises(ConfigError, match="sideways"):
        load(direction="sideways")
    with pytest.raises(AgssError, match=r"nowhere\.safetensors"):
        load(weights="nowhere.safetensors")


def test_a_video_without_a_prompt_is_named_and_the_others_go_on(dataset, model, video, caplog):
    dataset.add_sample(fo.Sample(filepath=video))
    dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts")
    assert dataset.count("frames.tracks.detections") >= FRAMES
    with pytest.raises(MaskError, match=r"squares\.mp4 has no mask, polygon or box in frames\.prompts"):
        dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts", skip_failures=False)


def test_the_model_is_listed_once():
    zoo.register()
    zoo.register()
    assert foz.list_zoo_models().count("agss-vos-lite") == 1
    assert fo.config.model_zoo_manifest_paths.count(str(zoo.MANIFEST)) == 1
