"""Which labels are the same object."""

from __future__ import annotations

import fiftyone as fo
import pytest

from agss_model.errors import MaskError
from fiftyone_plugin.track.objects import HumanLabel, Identities

BOX = [0, 0, 0.5, 0.5]


def seen(frame, label="car", index=None, instance=None, in_output=False):
    made = fo.Detection(label=label, index=index, bounding_box=BOX)
    if instance is not None:
        made["instance"] = instance
    return HumanLabel(frame, made, in_output)


def arrange(*sightings, **options):
    return Identities("clip field", **options).arrange(list(sightings))


def test_class_and_index_name_an_object():
    objects, ids = arrange(seen(0, index=3), seen(0, index=5), seen(0, "dog", 3), seen(9, index=3))
    assert ids == [1, 2, 3, 1]
    assert [(o.label, o.index) for o in objects.values()] == [("car", 3), ("car", 5), ("dog", 3)]
    assert len({o.instance for o in objects.values()}) == 3


def test_an_instance_comes_before_index_and_class():
    one, two = fo.Instance(), fo.Instance()
    objects, ids = arrange(seen(0, index=1, instance=one), seen(4, "dog", 7, one), seen(4, index=1, instance=two))
    assert ids == [1, 1, 2]
    assert objects[1].instance == one.id


def test_a_label_with_an_index_joins_the_instance_that_has_it():
    one = fo.Instance()
    _, ids = arrange(seen(0, index=4, instance=one), seen(8, index=4))
    assert ids == [1, 1]


def test_one_loose_label_of_a_class_in_each_frame_is_one_object():
    objects, ids = arrange(seen(0), seen(0, "dog"), seen(8))
    assert ids == [1, 2, 1]
    assert [o.index for o in objects.values()] == [1, 2]


def test_loose_labels_of_one_frame_are_several_objects():
    objects, ids = arrange(seen(3), seen(3), seen(3, index=2))
    assert ids == [1, 2, 3]
    assert sorted(o.index for o in objects.values()) == [2, 3, 4]


def test_loose_labels_of_a_class_in_several_frames_are_refused():
    with pytest.raises(MaskError, match=r"frames 1, 9 hold several labels 'car'.*same index"):
        arrange(seen(0), seen(0), seen(8))


def test_what_is_made_up_is_made_up_again():
    sightings = [seen(0), seen(0), seen(5, "dog")]
    first, second = arrange(*sightings)[0], arrange(*sightings)[0]
    assert first == second
    other, _ = Identities("another clip").arrange(sightings)
    assert not {o.instance for o in other.values()} & {o.instance for o in first.values()}


def test_a_corrected_label_of_the_output_belongs_to_the_object_it_was_made_for():
    drawn = seen(0)
    objects, _ = arrange(drawn)
    made_up = fo.Instance(id=objects[1].instance)
    again, ids = arrange(drawn, seen(6, index=1, instance=made_up, in_output=True))
    assert ids == [1, 1]
    assert again == objects


def test_an_index_given_by_an_earlier_run_stays_when_an_object_is_drawn_before_it():
    old = seen(5)
    objects, _ = arrange(old)
    known = {objects[1].instance: objects[1].index}
    both, ids = arrange(seen(0, "dog"), old, known=known)
    assert both[ids[1]].index == 1
    assert both[ids[0]].index == 2
