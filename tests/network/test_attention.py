from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from agss_model.network import attention
from agss_model.network.attention import inside_window, read, read_twice
from agss_model.network.base import Reference
from agss_model.network.readout import BlockValues, DenseReadout, DenseValues, SparseReadout, lay_out, readout


def reference(keys, values, known=None, weight=1.0):
    value = torch.as_tensor(values, dtype=torch.float32)
    flags = torch.ones(value.shape[:2], dtype=torch.bool) if known is None else torch.tensor(known)
    return Reference(F.normalize(keys, dim=1), value, flags, weight)


@pytest.fixture
def frames():
    torch.manual_seed(1)
    return [F.normalize(torch.randn(2, 8, 3, 4), dim=1) for _ in range(3)]


def brute_force(query, references, temperature, top_k=0, cutoff=0.0):
    """The definition, cell by cell and object by object."""
    batch, _, height, width = query.shape
    objects, channels = references[0].value.shape[1:3]
    out = torch.zeros(batch, objects, channels, height, width)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                scores, owners = [], []
                for r, ref in enumerate(references):
                    for cell in range(ref.key.shape[2] * ref.key.shape[3]):
                        score = query[b, :, y, x] @ ref.key[b].flatten(1)[:, cell] / temperature
                        scores.append(score + math.log(ref.weight))
                        owners.append((r, cell))
                scores = torch.stack(scores)
                lowest = scores.topk(top_k).values[-1] if top_k else scores.max() - (cutoff or float("inf"))
                weights = scores.masked_fill(scores < lowest, float("-inf")).softmax(0)
                for n in range(objects):
                    knowing = [w for w, (r, _) in zip(weights, owners, strict=True) if references[r].known[b, n]]
                    total = max(sum(knowing), torch.tensor(1e-4))  # nobody who was matched knows the object: 0
                    for w, (r, cell) in zip(weights, owners, strict=True):
                        if references[r].known[b, n]:
                            out[b, n, :, y, x] += w / total * references[r].value[b, n].flatten(1)[:, cell]
    return out


@pytest.mark.parametrize("choice", [{}, {"top_k": 5}, {"cutoff": 1.5}])
@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("known", [[[True, True], [True, True]], [[True, False], [True, True]]])
def test_read_is_the_weighted_mean_over_references_that_know_the_object(frames, known, choice, weight):
    values = [torch.rand(2, 2, 3, 3, 4) for _ in range(2)]
    values[1] = values[1] * torch.tensor(known)[:, :, None, None, None]
    references = [reference(frames[0], values[0], weight=weight), reference(frames[1], values[1], known)]
    got = read(frames[2], references, 0.3, **choice).value
    torch.testing.assert_close(got, brute_force(frames[2], references, 0.3, **choice), atol=1e-5, rtol=1e-4)


def test_one_reference_and_its_own_frame_gives_its_labels_back(frames):
    value = torch.rand(2, 3, 2, 3, 4)
    got = read(frames[0], [reference(frames[0], value)], 0.005)
    torch.testing.assert_close(got.value, value, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(got.match, torch.ones(2, 1, 3, 4), atol=1e-5, rtol=1e-5)


def test_bytes_are_read_as_255ths(frames):
    value = (torch.rand(2, 1, 2, 3, 4) * 255).round()
    as_bytes = Reference(frames[0], value.to(torch.uint8), torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(
        read(frames[1], [as_bytes], 0.1).value, read(frames[1], [reference(frames[0], value / 255)], 0.1).value
    )


def test_window_keeps_matches_near():
    window = inside_window(3, 4, 1, torch.device("cpu"))
    assert window.shape == (12, 12)
    assert window[0].nonzero().flatten().tolist() == [0, 1, 4, 5]
    key = torch.zeros(1, 2, 3, 4)
    key[:, 0] = 1  # everything looks alike: only the window decides
    value = torch.zeros(1, 1, 1, 3, 4)
    value[..., 2, 3] = 1
    got = read(key, [reference(key, value)], 0.1, windows=[window]).value[0, 0, 0]
    assert got[0, 0] == 0
    assert got[2, 3] == pytest.approx(0.25)
    assert got[1, 3] == pytest.approx(1 / 6)


def test_gradients_reach_keys_values_and_temperature(frames):
    temperature = torch.tensor(0.2, requires_grad=True)
    keys = [f.clone().requires_grad_() for f in frames]
    value = torch.rand(2, 2, 1, 3, 4, requires_grad=True)
    references = [Reference(k, value, torch.ones(2, 2, dtype=torch.bool)) for k in keys[:2]]
    read(keys[2], references, temperature).value.pow(2).sum().backward()
    for tensor in (*keys, value, temperature):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def sparse_frames(objects, references=3, height=20, width=24, side=3, seed=3):
    """A query and references in which each object covers a few cells of its own, in bytes."""
    generator = torch.Generator().manual_seed(seed)

    def keys():
        return F.normalize(torch.randn(1, 8, height, width, generator=generator), dim=1)

    found = []
    for number in range(references):
        value = torch.zeros(1, objects, 4, height, width, dtype=torch.uint8)
        for n in range(objects):
            top, left = (3 * n + number) % (height - side), (7 * n) % (width - side)
            part = torch.randint(1, 256, (4, side, side), generator=generator)
            value[0, n, :, top : top + side, left : left + side] = part.to(torch.uint8)
        found.append(Reference(keys(), value, torch.ones(1, objects, dtype=torch.bool)))
    return keys(), found


@pytest.mark.parametrize("objects", [1, 2, 9])
def test_looking_only_at_occupied_cells_changes_nothing(objects):
    query, references = sparse_frames(objects, side=6)
    references[1].value[:, 0] = 0  # an object that one frame does not show
    references[2].known[:, -1] = False
    references[2].value[:, -1] = 0
    dense = read(query, references, 0.1)
    with torch.no_grad():
        assert isinstance(lay_out([r.value for r in references]), BlockValues)
        sparse = read(query, references, 0.1)
    torch.testing.assert_close(sparse.value, dense.value, atol=1e-5, rtol=1e-5)
    assert torch.equal(sparse.match, dense.match)


@pytest.mark.parametrize("chunk", [256, 5])
@pytest.mark.parametrize("cutoff", [0.5, 2.0, 9.0])
def test_looking_only_at_cells_within_the_cutoff_changes_nothing(monkeypatch, frames, cutoff, chunk):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    query = frames[2][:1]
    known = [[[True, True]], [[True, False]]]
    references = [
        reference(frame[:1], torch.rand(1, 2, 3, 3, 4) * torch.tensor(flags)[:, :, None, None, None], flags, weight)
        for frame, flags, weight in zip(frames, known, (2.0, 1.0), strict=False)
    ]
    everything = read(query, references, 0.3, cutoff=cutoff)
    with torch.no_grad():
        assert isinstance(readout(query, references, cutoff), SparseReadout)
        few = read(query, references, 0.3, cutoff=cutoff)
    torch.testing.assert_close(few.value, everything.value, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(few.value, brute_force(query, references, 0.3, cutoff=cutoff), atol=1e-5, rtol=1e-4)
    assert torch.equal(few.match, everything.match)


def test_training_and_batches_multiply_everything(frames):
    one = [reference(frames[0][:1], torch.rand(1, 2, 1, 3, 4))]
    assert isinstance(readout(frames[1][:1], one, 2.0), DenseReadout)  # gradients
    with torch.no_grad():
        assert isinstance(readout(frames[1], [reference(frames[0], torch.rand(2, 2, 1, 3, 4))], 2.0), DenseReadout)
        assert isinstance(readout(frames[1][:1], one, 0.0), DenseReadout)


@torch.no_grad()
@pytest.mark.parametrize("cutoff", [0.0, 2.0])
def test_nothing_in_the_memory_reads_as_nothing(cutoff):
    query, references = sparse_frames(2)
    for reference_ in references:
        reference_.value.zero_()
    assert read(query, references, 0.1, cutoff=cutoff).value.abs().max() == 0


@torch.no_grad()
def test_frames_full_of_objects_are_multiplied_as_they_are():
    values = torch.rand(1, 2, 4, 20, 24)
    assert isinstance(lay_out([values]), DenseValues)


@pytest.mark.parametrize("choice", [{}, {"top_k": 5}, {"cutoff": 3.0}])
@pytest.mark.parametrize("chunk", [256, 37])
def test_reading_twice_equals_two_readings(monkeypatch, choice, chunk):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    query, references = sparse_frames(3)
    window = inside_window(20, 24, 2, query.device)
    with torch.no_grad():
        both, near = read_twice(query, references[:-1], references[-1], 0.1, window, **choice)
        whole = read(query, references, 0.1, **choice)
        alone = read(query, references[-1:], 0.1, windows=[window]).value
    torch.testing.assert_close(both.value, whole.value, atol=1e-6, rtol=1e-5)
    assert torch.equal(both.match, whole.match)
    torch.testing.assert_close(near, alone, atol=1e-6, rtol=1e-5)


@torch.inference_mode()
def test_a_window_asked_for_while_tracking_serves_training_later():
    assert not inside_window(5, 6, 2, torch.device("cpu")).is_inference()


def test_the_cost_follows_occupied_cells_not_objects():
    def cost(objects):
        query, references = sparse_frames(objects)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            read(query, references, 0.1)
        return counter.get_total_flops()

    assert cost(8) < 1.2 * cost(1)
