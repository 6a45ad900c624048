"""Equations 1, 2 and 4 to 7, by hand on small tensors and as properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.network.equations import labels, normalise, normalise_logits, union, upsample
from agss_model.network.losses import divergence, iou_loss, soft_iou


def pixels(*objects):
    """Rows of values, one row for each object -> (1, N, 1, W)."""
    return torch.tensor(objects, dtype=torch.float32)[None, :, None, :]


@st.composite
def logits(draw, most=4):
    objects = draw(st.integers(1, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(2, objects, 3, 4, generator=generator) * draw(st.sampled_from([0.1, 2.0, 30.0]))


def test_the_agnostic_mask_is_the_maximum_over_the_objects():
    assert torch.equal(union(pixels([0.1, 0.9, 0.0], [0.4, 0.2, 0.0])), pixels([0.4, 0.9, 0.0]))


def test_normalisation_by_hand():
    found = normalise(pixels([0.6, 0.5], [0.3, 0.5]))
    # Pixel 1: background 1 - 0.6; odds 0.4/0.6, 0.6/0.4, 0.3/0.7. Pixel 2: three times odds 1.
    odds = (0.4 / 0.6, 0.6 / 0.4, 0.3 / 0.7)
    expected = pixels([odds[1] / sum(odds), 1 / 3], [odds[2] / sum(odds), 1 / 3])
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_single_object_keeps_which_side_it_is_on():
    found = normalise(pixels([0.2, 0.5, 0.8]))
    odds = torch.tensor([0.25, 1.0, 4.0])
    assert torch.allclose(found.flatten(), odds / (odds + 1 / odds), atol=1e-6)


def test_sure_pixels_stay_finite():
    found = normalise(pixels([0.0, 1.0, 1.0], [0.0, 0.0, 1.0]))
    assert torch.allclose(found, pixels([0.0, 1.0, 0.5], [0.0, 0.0, 0.5]), atol=1e-5)


def test_labels_by_hand():
    found = labels(pixels([0.2, 0.6, 0.3], [0.1, 0.3, 0.5]))
    assert found.tolist() == [[[0, 1, 2]]]


def test_divergence_by_hand():
    given = torch.tensor([0.5, 0.25]).reshape(1, 2, 1, 1)
    wanted = torch.tensor([0.8, 0.1]).reshape(1, 2, 1, 1)
    expected = 0.8 * math.log(0.8 / 0.5) + 0.1 * math.log(0.1 / 0.25) + 0.1 * math.log(0.1 / 0.25)
    assert divergence(given, wanted).item() == pytest.approx(expected, rel=1e-5)
    assert divergence(wanted, wanted).item() == 0
    assert divergence(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)).isfinite()


def test_iou_loss_by_hand():
    probabilities, truth = pixels([0.5, 1.0, 0.0], [0.5, 0.0, 0.2]), pixels([1.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    first, second = 1.5 / 2.0, 0.2 / 1.5
    assert torch.allclose(soft_iou(probabilities, truth), torch.tensor([[first, second]]))
    assert iou_loss(probabilities, truth).item() == pytest.approx(1 - (first + second) / 2)
    only_first = torch.tensor([[True, False]])
    assert iou_loss(probabilities, truth, only_first).item() == pytest.approx(1 - first)


def test_iou_of_two_empty_masks_is_one():
    empty = torch.zeros(1, 1, 2, 2)
    assert soft_iou(empty, empty).item() == 1
    assert iou_loss(empty, empty, torch.tensor([[False]])).item() == 0


def test_iou_loss_pulls_towards_the_truth():
    probabilities = torch.full((1, 1, 1, 2), 0.5, requires_grad=True)
    iou_loss(probabilities, pixels([1.0, 0.0])).backward()
    assert probabilities.grad[0, 0, 0, 0] < 0 < probabilities.grad[0, 0, 0, 1]


@settings(deadline=None, max_examples=40)
@given(logits(), st.randoms(use_true_random=False))
def test_permuted_objects_give_permuted_probabilities(x, random):
    order = list(range(x.shape[1]))
    random.shuffle(order)
    for function, values in ((normalise, x.sigmoid()), (normalise_logits, x)):
        assert torch.allclose(function(values[:, order]), function(values)[:, order], atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(logits())
def test_probabilities_and_background_sum_to_one(x):
    for found in (normalise(x.sigmoid()), normalise_logits(x)):
        assert found.min() >= 0
        assert found.sum(1).max() <= 1 + 1e-6


@settings(deadline=None, max_examples=40)
@given(logits())
def test_the_strongest_object_stays_the_strongest(x):
    x = x.clamp(-16, 16)  # beyond it all are equally sure
    first, second = torch.cat([x, -x.amax(1, keepdim=True)], 1).topk(2, dim=1).values.unbind(1)
    clear = (first - second > 0.01) & (x.amax(1) > 0)
    assert torch.equal(labels(normalise_logits(x))[clear], (x.argmax(1) + 1)[clear])


@settings(deadline=None, max_examples=40)
@given(logits())
def test_logits_and_probabilities_normalise_alike(x):
    x = x.clamp(-12, 12)  # float32 probabilities know nothing finer
    assert torch.allclose(normalise_logits(x), normalise(x.double().sigmoid()).float(), atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(logits(), st.integers(1, 3))
def test_padding_gets_nothing_and_takes_nothing(x, padding):
    padded = torch.cat([x, torch.full((2, padding, 3, 4), 50.0)], 1)
    valid = torch.tensor([[True] * x.shape[1] + [False] * padding] * 2)
    found = normalise_logits(padded, valid)
    assert torch.allclose(found[:, : x.shape[1]], normalise_logits(x), atol=1e-6)
    assert found[:, x.shape[1] :].abs().max() == 0


def test_only_padding_is_all_background():
    found = normalise_logits(torch.randn(1, 2, 3, 3), torch.zeros(1, 2, dtype=torch.bool))
    assert torch.equal(found, torch.zeros(1, 2, 3, 3))


@settings(deadline=None, max_examples=20)
@given(logits())
def test_enlarging_keeps_a_distribution_and_changes_nothing_at_the_same_size(x):
    p = normalise_logits(x)
    assert torch.allclose(upsample(p, (3, 4)), p, atol=1e-5)
    large = upsample(p, (12, 16))
    assert large.shape == (*p.shape[:2], 12, 16)
    assert large.sum(1).max() <= 1 + 1e-5
