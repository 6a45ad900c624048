from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from agss_model.errors import ConfigError, WeightsError
from agss_model.flow import DISFlow, FlowNet2C, NoFlow, build_flow, warp
from agss_model.flow.motion import PRESETS


def textured(height: int, width: int, seed: int = 0) -> torch.Tensor:
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy(smooth).permute(2, 0, 1)[None]


def shifted_pair(u: int, v: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of one texture: target pixel (x, y) shows what the source shows at (x + u, y + v)."""
    scene = textured(180, 260)
    source = scene[:, :, 20:140, 20:220]
    return scene[:, :, 20 + v : 140 + v, 20 + u : 220 + u], source


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(("u", "v"), [(6, 0), (0, -5), (-4, 7)])
def test_dis_finds_a_translation_with_the_right_sign_and_axis(preset, scale, u, v):
    target, source = shifted_pair(u, v)
    flow = DISFlow(preset, scale)(target, source)
    assert flow.shape == (1, 2, 120, 200)
    assert flow.dtype == torch.float32
    inner = flow[0, :, 20:-20, 20:-20].flatten(1).median(dim=1).values
    assert inner.tolist() == pytest.approx([u, v], abs=0.4)


def test_warping_the_source_along_dis_flow_gives_the_target():
    target, source = shifted_pair(5, -3)
    warped = warp(source, DISFlow()(target, source))
    inner = (slice(None), slice(None), slice(15, -15), slice(15, -15))
    before = (source - target)[inner].abs().mean()
    assert (warped - target)[inner].abs().mean() < 0.15 * before


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1, 300), (300, 11), (15, 16)])
def test_dis_gives_frames_too_small_to_search_a_flow_of_zeros(size):
    flow = DISFlow()(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert torch.equal(flow, torch.zeros(2, 2, *size))


@pytest.mark.parametrize("scale", [0.01, 0.25, 1.0])
@pytest.mark.parametrize("size", [(16, 16), (17, 400), (24, 400), (33, 21)])
def test_dis_takes_small_and_odd_sizes(size, scale):
    flow = DISFlow(scale=scale)(torch.rand(1, 3, *size), torch.rand(1, 3, *size))
    assert flow.shape == (1, 2, *size)
    assert flow.isfinite().all()


def test_dis_remembers_nothing_between_calls():
    target, source = shifted_pair(6, 2)
    other = textured(64, 96, seed=1), textured(64, 96, seed=2)
    used = DISFlow()
    first = used(target, source)
    used(*other)
    used(source, target)
    assert torch.equal(used(target, source), first)
    assert torch.equal(DISFlow()(target, source), first)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_low_wide_frame_neither_crashes_dis_nor_changes_later_results(preset):
    target, source = shifted_pair(6, 2)
    used = DISFlow(preset, 1.0)
    assert used(textured(24, 400, seed=1), textured(24, 400, seed=2)).isfinite().all()
    assert torch.equal(used(target, source), DISFlow(preset, 1.0)(target, source))


def test_dis_gives_the_same_flow_on_one_and_two_threads():
    target, source = shifted_pair(6, 2)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = DISFlow()(target, source)
        cv2.setNumThreads(2)
        assert torch.equal(DISFlow()(target, source), alone)
    finally:
        cv2.setNumThreads(threads)


def test_dis_treats_each_pair_of_a_batch_alone():
    pairs = [shifted_pair(6, 2), shifted_pair(-3, 4)]
    targets, sources = (torch.cat(frames) for frames in zip(*pairs, strict=True))
    together = DISFlow()(targets, sources)
    assert torch.equal(together, torch.cat([DISFlow()(*pair) for pair in pairs]))


def test_no_flow_is_zero_everywhere():
    assert torch.equal(NoFlow()(torch.rand(2, 3, 5, 7), torch.rand(2, 3, 5, 7)), torch.zeros(2, 2, 5, 7))


@pytest.mark.parametrize("estimator", [NoFlow(), DISFlow()])
@pytest.mark.parametrize(
    ("target", "source", "named"),
    [
        (torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 21), "21"),
        (torch.rand(1, 1, 20, 20), torch.rand(1, 1, 20, 20), r"\(1, 1, 20, 20\)"),
        (torch.rand(3, 20, 20), torch.rand(3, 20, 20), r"\(3, 20, 20\)"),
        (torch.rand(1, 3, 0, 20), torch.rand(1, 3, 0, 20), r"\(1, 3, 0, 20\)"),
        (torch.zeros(1, 3, 9, 9, dtype=torch.uint8), torch.zeros(1, 3, 9, 9, dtype=torch.uint8), "uint8"),
    ],
)
def test_frames_that_cannot_be_compared_are_refused(estimator, target, source, named):
    with pytest.raises(ConfigError, match=named):
        estimator(target, source)


def test_build_flow_knows_its_names_and_settings():
    assert isinstance(build_flow("none"), NoFlow)
    estimator = build_flow("dis", preset="medium", scale=0.25)
    assert isinstance(estimator, DISFlow)
    assert (estimator.preset, estimator.scale) == ("medium", 0.25)
    default = build_flow("dis")
    assert isinstance(default, DISFlow)
    assert (default.preset, default.scale) == (DISFlow().preset, DISFlow().scale)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("raft", {}, "'raft'.*dis, none, flownet2c, flownet2"),
        ("dis", {"preset": "best"}, "'best'.*ultrafast, fast, medium"),
        ("dis", {"scale": 0.0}, "0.0"),
        ("dis", {"scale": 1.5}, "1.5"),
        ("dis", {"scale": float("nan")}, "nan"),
        ("none", {"scale": 0.5}, "scale"),
        ("none", {"state_dict": {}}, "no weights"),
        ("flownet2c", {}, "agss weights import"),
        ("flownet2", {}, "agss weights import"),
        ("flownet2", {"preset": "fast", "state_dict": {}}, "preset"),
    ],
)
def test_build_flow_says_what_is_wrong_and_what_to_do(name, settings, named):
    with pytest.raises(ConfigError, match=named):
        build_flow(name, **settings)


def test_build_flow_loads_weights_and_names_missing_ones():
    trained = FlowNet2C()
    estimator = build_flow("flownet2c", state_dict=trained.state_dict())
    assert isinstance(estimator, FlowNet2C)
    assert not estimator.training
    assert torch.equal(estimator.conv1[0].weight, trained.conv1[0].weight)
    partial = {key: value for key, value in trained.state_dict().items() if key != "conv1.0.bias"}
    with pytest.raises(WeightsError, match=r"conv1\.0\.bias"):
        build_flow("flownet2c", state_dict=partial)
