"""J, F, J&F and identity."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from davis_rules import j_and_f
from fiftyone.operators.store import ExecutionStore
from little_videos import detection, write_images, write_video

from agss_model.errors import AgssError
from agss_model.evaluation import boundary_f, evaluate_sequence, mean_score, open_dataset, region_similarity

FRAMES = 6


@pytest.fixture
def data(scene, tmp_path):
    made = fo.Dataset()
    made.add_sample(fo.Sample(filepath=write_video(tmp_path / "a.mp4", scene, FRAMES)))
    yield made
    made.delete()


def put(dataset, field, masks_by_frame, **more):
    """Masks by index in every frame of the first sample."""
    value = {
        t + 1: fo.Detections(detections=[detection(mask, index=i, **more) for i, mask in masks.items()])
        for t, masks in enumerate(masks_by_frame)
    }
    dataset.set_values(f"frames.{field}", {dataset.first().id: value}, key_field="id", dynamic=True)


def evaluate(operator, dataset, **options):
    return operator("evaluate_tracking")(dataset, "tracks", "gt", **{"protocol": "all", **options})


def test_the_truth_itself_is_perfect(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t) for t in range(FRAMES)], confidence=0.9)
    result = evaluate(operator, data)
    assert (result["J"], result["F"], result["JF"], result["identity"], result["switches"]) == (1, 1, 1, 1, 0)
    (clip,) = result["clips"]
    assert clip["objects"].keys() == {"square 1", "square 2"}


def test_scores_are_those_of_the_measures(operator, data, scene):
    shifted = [scene.masks(t + 1) for t in range(FRAMES)]
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", shifted, confidence=0.9)
    result = evaluate(operator, data)
    for index in (1, 2):
        pairs = [(shifted[t][index], scene.masks(t)[index]) for t in range(FRAMES)]
        score = result["clips"][0]["objects"][f"square {index}"]
        assert score["J"] == pytest.approx(np.mean([region_similarity(*pair) for pair in pairs]))
        assert score["F"] == pytest.approx(np.mean([boundary_f(*pair) for pair in pairs]))
    assert result["JF"] == pytest.approx((result["J"] + result["F"]) / 2)


def test_an_exchange_of_two_objects_costs(operator, data, scene):
    """To FiftyOne's own evaluation it is perfect."""
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    half = FRAMES // 2
    swapped = [scene.masks(t) if t < half else {3 - i: m for i, m in scene.masks(t).items()} for t in range(FRAMES)]
    put(data, "tracks", swapped, confidence=0.9)
    result = evaluate(operator, data)
    assert result["J"] == pytest.approx(0.5)
    assert result["identity"] == pytest.approx(0.5)
    assert result["switches"] == 2
    assert data.load_evaluation_results("tracking").metrics()["fscore"] == 1


def test_tracks_with_other_numbers_are_paired_once_for_the_whole_clip(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [{i + 10: m for i, m in scene.masks(t).items()} for t in range(FRAMES)], confidence=0.9)
    result = evaluate(operator, data)
    assert (result["JF"], result["identity"]) == (1, 1)


def test_drawn_frames_are_not_scored_and_absent_objects_are(operator, data, scene):
    truth = [scene.masks(t) for t in range(FRAMES)]
    truth[4] = {1: truth[4][1]}  # object 2 has left
    put(data, "gt", truth)
    tracks = [scene.masks(t) for t in range(FRAMES)]
    tracks[1] = {1: tracks[1][1]}  # object 2 was missed
    put(data, "tracks", tracks, confidence=0.9)
    sample = data.first()
    for label in sample.frames[1]["tracks"].detections:
        label["keyframe"] = True
    sample.save()
    scores = evaluate(operator, data)["clips"][0]["objects"]
    assert (scores["square 1"]["J"], scores["square 1"]["frames"]) == (1, FRAMES - 1)
    assert (scores["square 2"]["J"], scores["square 2"]["frames"]) == (pytest.approx(3 / 5), FRAMES - 1)


def test_it_is_an_evaluation_of_fiftyone(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t + 1) for t in range(FRAMES)], confidence=0.9)
    result = evaluate(operator, data, eval_key="first")
    found = data.load_evaluation_results("first")
    assert found.custom_metrics["@agss/vos/jandf"] == {
        "key": "jandf", "value": result["JF"], "label": "J&F", "lower_is_better": False,
    }  # fmt: skip
    assert found.metrics()["identity_kept"] == 1
    assert data.first()["first_jandf"] == pytest.approx(result["JF"])
    assert np.mean(data.values("frames.first_jandf", unwind=True)) == pytest.approx(result["JF"])
    stored = ExecutionStore.create("agss-vos", data._doc.id).get("evaluation")
    assert stored["JF"] == result["JF"]
    data.rename_evaluation("first", "second")
    assert data.has_field("second_jandf")
    data.delete_evaluation("second")
    assert not data.has_field("second_jandf")
    assert not data.has_frame_field("second_jandf")


def test_the_metric_works_in_fiftyones_own_call(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t + 1) for t in range(FRAMES)], confidence=0.9)
    expected = evaluate(operator, data)["JF"]
    found = data.evaluate_detections(
        "frames.tracks", gt_field="frames.gt", eval_key="own", custom_metrics=["@agss/vos/jandf"], progress=False
    )
    assert found.custom_metrics["@agss/vos/jandf"]["value"] == expected
    assert data.first()["own_jandf"] == pytest.approx(expected)


def test_an_evaluation_is_replaced_by_one_of_the_same_name(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t + 1) for t in range(FRAMES)], confidence=0.9)
    evaluate(operator, data)
    put(data, "tracks", [scene.masks(t) for t in range(FRAMES)], confidence=0.9)
    assert evaluate(operator, data)["JF"] == 1
    assert data.list_evaluations() == ["tracking"]


def test_images(operator, scene, tmp_path):
    images = fo.Dataset()
    for t, path in enumerate(write_images(tmp_path / "images", scene, 4)):
        labels = [detection(m, index=i, confidence=0.9) for i, m in scene.masks(t).items()]
        sample = fo.Sample(filepath=path, order=t, gt=fo.Detections(detections=labels))
        sample["tracks"] = fo.Detections(detections=[label.copy() for label in labels])
        images.add_sample(sample)
    assert evaluate(operator, images, sort_field="order")["JF"] == 1
    assert images.values("tracking_jandf") == [1.0] * 4
    images.delete()


def test_a_clip_that_cannot_be_read_does_not_stop_the_others(operator, data, scene, tmp_path):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t) for t in range(FRAMES)], confidence=0.9)
    data.add_sample(fo.Sample(filepath=str(tmp_path / "gone.mp4")))
    result = evaluate(operator, data)
    assert result["JF"] == 1
    assert "gone.mp4 does not exist on this machine" in result["summary"]


def test_what_cannot_be_evaluated(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    with pytest.raises(AgssError, match="no field 'tracks'"):
        evaluate(operator, data)
    with pytest.raises(AgssError, match="compared with itself"):
        operator("evaluate_tracking")(data, "gt", "gt")
    put(data, "tracks", [scene.masks(0)], confidence=0.9)
    with pytest.raises(AgssError, match="cannot name an evaluation"):
        evaluate(operator, data, eval_key="my key")
    data.clear_frame_field("gt")
    with pytest.raises(AgssError, match="no frame to score"):
        evaluate(operator, data)


def test_the_default_protocol_has_the_numbers_of_davis(operator, data, scene, tmp_path):
    """Against this project's evaluation of DAVIS folders, and against the rules written down once more."""
    rng = np.random.default_rng(0)
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    guesses = [
        {i: np.roll(m, rng.integers(-4, 5, 2), (0, 1)) for i, m in scene.masks(t).items()} for t in range(FRAMES)
    ]
    put(data, "tracks", guesses, confidence=0.9)
    operator("export_training")(data, "gt", str(tmp_path / "out"))
    (sequence,) = open_dataset(tmp_path / "out", "davis")

    predicted = {t: sum(i * m.astype(np.uint8) for i, m in masks.items()) for t, masks in enumerate(guesses)}
    official = evaluate_sequence(predicted, sequence)
    found = evaluate(operator, data, protocol="davis")
    assert found["JF"] == pytest.approx(mean_score([official]).JF, abs=5e-6)
    drawn = [sum(i * m.astype(np.uint8) for i, m in scene.masks(t).items()) for t in range(FRAMES)]
    assert found["JF"] == pytest.approx(j_and_f(list(predicted.values()), drawn), abs=5e-6)
    assert found["summary"].startswith("Official semi-supervised protocol of DAVIS")
    assert {score["frames"] for score in found["clips"][0]["objects"].values()} == {FRAMES - 2}
    with pytest.raises(AgssError, match="choose davis or all"):
        evaluate(operator, data, protocol="mine")


def test_fiftyones_own_measures_leave_out_what_is_not_scored(operator, data, scene):
    """Masks that a person drew are no successes of the tracker."""
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    tracks = [scene.masks(t) if t in (0, 3) else {} for t in range(FRAMES)]
    put(data, "tracks", tracks, confidence=1.0)
    sample = data.first()
    for label in [*sample.frames[1]["tracks"].detections, *sample.frames[4]["tracks"].detections]:
        label["keyframe"] = True
    sample.save()
    evaluate(operator, data, protocol="davis")
    metrics = data.load_evaluation_results("tracking").metrics()
    assert (metrics["recall"], metrics["support"]) == (0, 2 * (FRAMES - 3))


def test_parts_of_a_video_are_scored_apart(operator, data, scene):
    put(data, "gt", [scene.masks(t) for t in range(FRAMES)])
    put(data, "tracks", [scene.masks(t if t < 3 else t + 2) for t in range(FRAMES)], confidence=0.9)
    found = evaluate(operator, data.to_clips([[(1, 3), (4, 6)]]))
    assert [(clip["clip"], clip["JF"] == 1) for clip in found["clips"]] == [
        ("a.mp4, frames 1 to 3", True),
        ("a.mp4, frames 4 to 6", False),
    ]
    assert [score["frames"] for clip in found["clips"] for score in clip["objects"].values()] == [3, 3, 3, 3]
    assert data.first()["tracking_jandf"] == pytest.approx(np.mean([clip["JF"] for clip in found["clips"]]))
