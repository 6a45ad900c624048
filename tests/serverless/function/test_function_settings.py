"""How the function starts: from environment variables, loudly when something is not there."""

from __future__ import annotations

import logging

import nuclio_sdk
import pytest
from function_client import Clip, Lines, picture

from agss_model.config import preset
from agss_model.errors import ConfigError, WeightsError
from agss_model.network import build_network
from agss_model.weights.files import save_weights
from serverless import main
from serverless.function.settings import FunctionSettings


@pytest.fixture
def context():
    logger = nuclio_sdk.Logger(logging.INFO, name="test-settings")
    context = nuclio_sdk.Context(logger, worker_id="0")
    context.lines = Lines()
    logger._logger.handlers[:] = [context.lines]
    return context


@pytest.fixture
def environment(monkeypatch):
    def put(**values):
        for name in ("WEIGHTS", "DEVICE", "CACHE_MIB"):
            monkeypatch.delenv(f"AGSS_{name}", raising=False)
        monkeypatch.delenv("CVAT_FUNCTIONS_REDIS_HOST", raising=False)
        monkeypatch.setenv("AGSS_THREADS", "1")
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


def test_the_device_and_the_weights_are_in_the_log(context, environment):
    environment()
    main.init_context(context)
    assert any("weights lite" in line and "on cpu" in line for line in context.lines.lines)


def test_fine_tuned_weights_come_from_a_variable(context, environment, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_weights(path, build_network(preset("lite")).state_dict(), preset("lite"), {"note": "untrained"})
    environment(AGSS_WEIGHTS=str(path))
    main.init_context(context)
    assert any(str(path) in line for line in context.lines.lines)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"AGSS_DEVICE": "cuda:9"}, ConfigError, "cuda:9"),
        ({"AGSS_DEVICE": "gpu"}, ConfigError, "not a device"),
        ({"AGSS_WEIGHTS": "/no/such.safetensors"}, WeightsError, "no weights file"),
        ({"AGSS_WEIGHTS": "nobody"}, WeightsError, "nobody"),
        ({"AGSS_THREADS": "many"}, ConfigError, "AGSS_THREADS"),
        ({"AGSS_CACHE_MIB": "-1"}, ConfigError, "AGSS_CACHE_MIB"),
    ],
)
def test_what_is_not_there_stops_the_worker_with_a_line_in_the_log(context, environment, values, error, words):
    environment(**values)
    with pytest.raises(error, match=words):
        main.init_context(context)
    assert any("cannot start" in line and words in line for line in context.lines.lines)


def test_a_redis_that_is_down_does_not_stop_the_worker(context, environment):
    environment(CVAT_FUNCTIONS_REDIS_HOST="127.0.0.1", CVAT_FUNCTIONS_REDIS_PORT="1")
    main.init_context(context)
    clip = Clip(1)
    message = {"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []}
    response = main.handler(context, nuclio_sdk.Event(body=message, _id="1"))
    assert response.status_code == 200
    assert sum("Redis does not answer" in line for line in context.lines.lines) == 1


def test_an_empty_variable_is_an_absent_one():
    assert FunctionSettings.from_environment({"AGSS_WEIGHTS": " ", "AGSS_THREADS": ""}) == FunctionSettings()
    assert FunctionSettings.from_environment({"AGSS_DEVICE": "cuda", "AGSS_CACHE_MIB": "64"}) == FunctionSettings(
        device="cuda", cache_mib=64
    )
