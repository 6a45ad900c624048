from __future__ import annotations

import torch

from agss_model.network.base import Reference
from agss_model.tracking.memory import Entry, Memory


def entry(frame, ids, known=None):
    value = torch.tensor([float(i) for i in ids]).reshape(1, -1, 1, 1, 1)
    flags = torch.tensor([[i in (known if known is not None else ids) for i in ids]])
    return Entry(frame, tuple(ids), Reference(torch.full((1, 2, 1, 1), float(frame)), value, flags))


def test_arranging_puts_objects_in_order_and_marks_strangers_unknown():
    reference = entry(0, [4, 7]).arranged([7, 9, 4])
    assert reference.value.flatten().tolist() == [7, 0, 4]
    assert reference.known.tolist() == [[True, False, True]]


def test_first_and_newest_references_stay():
    memory = Memory(3, 2, 1)
    for frame in range(6):
        memory.add_permanent(entry(frame, [1]))
    assert [e.frame_index for e in memory.permanent] == [0, 4, 5]


def test_the_only_reference_of_an_object_is_never_dropped():
    memory = Memory(2, 2, 1)
    for frame, ids in ((0, [1]), (1, [2]), (2, [1]), (3, [1])):
        memory.add_permanent(entry(frame, ids))
    assert {i for e in memory.permanent for i in e.known()} == {1, 2}
    assert [e.frame_index for e in memory.permanent] == [0, 1, 3]


def test_a_second_annotation_of_a_frame_adds_to_the_first():
    memory = Memory(4, 2, 1)
    memory.add_permanent(entry(5, [1, 2], known=[1]))
    memory.add_permanent(entry(5, [1, 2], known=[2]))
    assert len(memory.permanent) == 1
    assert memory.permanent[0].known() == {1, 2}


def test_recent_frames_are_confident_ones_at_the_stride():
    memory = Memory(4, 2, 3)
    for frame in range(12):
        memory.advance(entry(frame, [1]), confident=frame not in (2, 3))
    assert [e.frame_index for e in memory.recent] == [7, 10]
    assert memory.previous is not None
    assert memory.previous.frame_index == 11


def test_forgetting_drops_objects_and_frames_that_know_no_other():
    memory = Memory(4, 2, 1)
    memory.add_permanent(entry(0, [1, 2]))
    memory.add_permanent(entry(1, [1, 2], known=[1]))
    memory.advance(entry(2, [1, 2]), confident=True)
    memory.forget({1})
    assert [e.ids for e in memory.permanent] == [(2,)]
    assert [e.ids for e in memory.recent] == [(2,)]
    assert memory.previous is not None
    assert memory.previous.ids == (2,)


def test_human_frames_are_recalled_with_their_weight_and_apart_from_tracked_ones():
    memory = Memory(4, 2, 1, human_weight=2.0)
    memory.add_permanent(entry(0, [1, 2]))
    memory.advance(entry(1, [1, 2]), confident=True)
    held = memory.recall([2, 1])
    assert [(float(r.key[0, 0, 0, 0]), r.weight) for r in held.human] == [(0, 2.0)]
    assert [(float(r.key[0, 0, 0, 0]), r.weight) for r in held.tracked] == [(1, 1.0)]
    assert held.previous is not None
    assert held.previous.value.flatten().tolist() == [2, 1]
