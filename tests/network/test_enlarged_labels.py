"""Labels at the frame's size, decided along borders only, against every map enlarged and compared everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.network import equations
from agss_model.network.equations import enlarged_labels, labels, normalise, upsample


def everywhere(probabilities, size, normalised):
    """The definition, and how far the strongest is ahead of the second at each pixel."""
    full = upsample(probabilities[None], size, normalised)
    background = 1 - (full.sum(1, keepdim=True) if normalised else full.amax(1, keepdim=True))
    every = torch.cat([background, full], 1)
    first, second = every.topk(2, 1).values.unbind(1)
    return (labels(full) if normalised else every.argmax(1))[0], (first - second)[0]


def check(probabilities, size, normalised):
    expected, lead = everywhere(probabilities, size, normalised)
    got = enlarged_labels(probabilities, size, normalised)
    assert got.dtype == torch.int16
    assert got.shape == size
    differing = got != expected
    assert not (differing & (lead > 1e-5)).any()  # only rounding decides about ties
    assert differing.float().mean() < 0.002


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("objects", [1, 3, 11])
@pytest.mark.parametrize("size", [(31, 50), (9, 13), (5, 6)])
def test_noise_gets_the_labels_of_the_enlarged_maps(normalised, objects, size):
    torch.manual_seed(objects)
    probabilities = torch.rand(objects, 9, 13) ** 4
    check(normalise(probabilities[None])[0] if normalised else probabilities, size, normalised)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_touching_objects_get_the_labels_of_the_enlarged_maps(seed, objects, normalised):
    """Soft discs that overlap, with exact zeros outside, in sizes that are no multiples."""
    generator = torch.Generator().manual_seed(seed)
    height, width, more, wider = torch.randint(1, 24, (4,), generator=generator).tolist()
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centre = torch.rand(objects, 2, generator=generator) * torch.tensor([height, width])
    distance = ((y - centre[:, :1, None]) ** 2 + (x - centre[:, 1:, None]) ** 2).sqrt()
    found = torch.sigmoid((5 - distance) * 2 + torch.randn(objects, 1, 1, generator=generator)) * (distance < 7)
    probabilities = normalise(found[None])[0] * (distance < 7) if normalised else found
    check(probabilities, (height + more, width + wider), normalised)


def test_only_borders_are_enlarged(monkeypatch):
    enlarged = []
    original = equations._between
    monkeypatch.setattr(equations, "_between", lambda p, *rest: enlarged.append(len(p)) or original(p, *rest))
    probabilities = torch.zeros(2, 40, 60)
    probabilities[0, 5:25, 5:25] = 0.9
    probabilities[1, 10:30, 35:55] = 0.9
    found = enlarged_labels(probabilities, (240, 360))
    assert set(found.unique().tolist()) == {0, 1, 2}
    assert sum(enlarged) <= 2 * 2 * 4 * 21  # the background and one object, two borders of four sides each


def test_nothing_is_background_and_a_full_frame_is_its_object():
    assert not enlarged_labels(torch.zeros(3, 4, 5), (16, 20)).any()
    full = torch.zeros(3, 4, 5)
    full[1] = 0.8
    assert (enlarged_labels(full, (16, 20)) == 2).all()
