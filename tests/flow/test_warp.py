from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agss_model.errors import ConfigError
from agss_model.flow import warp


def constant_flow(height: int, width: int, u: float, v: float, batch: int = 1) -> torch.Tensor:
    return torch.tensor([u, v]).view(1, 2, 1, 1).expand(batch, 2, height, width).clone()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (13, 1), (48, 85), (480, 854)])
def test_zero_flow_is_the_identity(height, width):
    image = torch.rand(2, 3, height, width)
    assert torch.equal(warp(image, torch.zeros(2, 2, height, width)), image)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    u=st.integers(-50, 50),
    v=st.integers(-50, 50),
)
def test_whole_pixel_flow_moves_the_image_exactly_and_brings_zeros_in(height, width, u, v):
    image = torch.arange(1, height * width + 1, dtype=torch.float32).view(1, 1, height, width)
    expected = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= x + u < width and 0 <= y + v < height:
                expected[0, 0, y, x] = image[0, 0, y + v, x + u]
    assert torch.equal(warp(image, constant_flow(height, width, u, v)), expected)


def test_half_pixel_flow_averages_two_neighbours():
    image = torch.tensor([[0.0, 1.0, 4.0, 9.0]]).view(1, 1, 1, 4)
    warped = warp(image, constant_flow(1, 4, 0.5, 0))
    assert warped.flatten().tolist() == pytest.approx([0.5, 2.5, 6.5, 9.0])


@pytest.mark.parametrize(
    ("shift", "left"),
    [(-0.25, 1.0), (-0.5, 1.0), (-0.75, 0.5), (-1.0, 0.0), (-1.5, 0.0)],
)
def test_a_mask_at_the_border_survives_half_a_pixel_and_is_gone_after_one(shift, left):
    mask = torch.ones(1, 1, 5, 6)
    assert warp(mask, constant_flow(5, 6, shift, 0))[0, 0, 2].tolist()[0] == pytest.approx(left)
    assert warp(mask, constant_flow(5, 6, -shift, 0))[0, 0, 2].tolist()[-1] == pytest.approx(left)
    assert warp(mask, constant_flow(5, 6, 0, shift))[0, 0, :, 2].tolist()[0] == pytest.approx(left)
    assert warp(mask, constant_flow(5, 6, 0, -shift))[0, 0, :, 2].tolist()[-1] == pytest.approx(left)


def test_a_jittering_camera_does_not_eat_a_mask_at_the_border():
    mask = torch.ones(1, 1, 8, 8)
    for step in range(20):
        mask = warp(mask, constant_flow(8, 8, 0.3 * (-1) ** step, 0.2 * (-1) ** step))
    torch.testing.assert_close(mask, torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("published_grid", [False, True])
@pytest.mark.parametrize("flows", [1, 2])
def test_gradients_reach_image_and_flow(published_grid, flows):
    torch.manual_seed(0)
    image = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    # Far from whole and half pixels, where bilinear sampling and the border rule have kinks.
    flow = torch.randint(-4, 4, (flows, 2, 5, 6)).double() + 0.1 + 0.3 * torch.rand(flows, 2, 5, 6).double()
    flow.requires_grad_()
    assert torch.autograd.gradcheck(lambda i, f: warp(i, f, published_grid), (image, flow))


def test_flow_gradient_at_the_last_row_and_column_sees_no_padding():
    flow = torch.zeros(1, 2, 5, 6, requires_grad=True)
    warp(torch.ones(1, 1, 5, 6), flow).sum().backward()
    assert flow.grad is not None
    assert torch.equal(flow.grad, torch.zeros_like(flow))


def test_one_flow_serves_a_batch():
    images, flow = torch.rand(3, 2, 9, 7), torch.randn(1, 2, 9, 7)
    torch.testing.assert_close(warp(images, flow), warp(images, flow.expand(3, 2, 9, 7)))


def test_published_grid_reads_where_its_formula_says():
    # Pixel x is read at ((x + u - W/2) / (W/2) + 1) / 2 * (W - 1) = (x + u) * (W - 1) / W, likewise for y.
    width, height, u, v = 8, 4, 1.0, -1.0
    image = (torch.arange(width) * 10.0 + torch.arange(height)[:, None] * 100.0).view(1, 1, height, width)
    warped = warp(image, constant_flow(height, width, u, v), published_grid=True)
    for y in range(1, height):
        for x in range(width):
            px, py = (x + u) * 7 / 8, (y + v) * 3 / 4
            assert warped[0, 0, y, x].item() == pytest.approx(px * 10 + py * 100, abs=1e-3)
    # The row above the frame is read at -0.75: three quarters of it are zeros.
    assert warped[0, 0, 0, 0].item() == pytest.approx(0.25 * 7 / 8 * 10, abs=1e-3)


def test_published_grid_at_zero_flow_is_not_the_identity():
    image = torch.rand(1, 1, 16, 16)
    assert not torch.allclose(warp(image, torch.zeros(1, 2, 16, 16), published_grid=True), image, atol=1e-2)


@pytest.mark.parametrize(
    ("image", "flow"),
    [
        ((1, 1, 4, 4), (1, 2, 4, 5)),
        ((3, 1, 4, 4), (2, 2, 4, 4)),
        ((1, 4, 4), (1, 2, 4, 4)),
        ((1, 1, 4, 4), (1, 3, 4, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_named(image, flow):
    with pytest.raises(ConfigError, match=str(flow[-1])):
        warp(torch.zeros(image), torch.zeros(flow))
