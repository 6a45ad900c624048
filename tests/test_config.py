"""Settings come out of files from somewhere; none can ask for more than a network may take."""

from __future__ import annotations

import dataclasses
import math

import pytest

from agss_model.config import PRESETS, RANGES, AgssConfig
from agss_model.errors import ConfigError


def test_every_number_has_a_range():
    numbers = {f.name for f in dataclasses.fields(AgssConfig) if type(f.default) in (int, float, tuple)}
    assert numbers == set(RANGES)


@pytest.mark.parametrize("name", RANGES)
def test_numbers_out_of_range_are_refused_and_those_at_the_ends_pass(name):
    kind = type(getattr(AgssConfig(), name))

    def config(value):
        given = [value] * 3 if kind is tuple else value
        return AgssConfig.from_dict({name: given})

    low, high = RANGES[name]
    for value in (low, high):
        config(value)
    for value in (low - 1, high + 1, -1, 10**9, 10**400, math.nan, math.inf, -math.inf):
        with pytest.raises(ConfigError, match=name):
            config(float(value) if kind is float and abs(value) < 1e300 else value)


@pytest.mark.parametrize(
    "width",
    [["a", 1, 2], [64, 48], [64, 48, 32, 8], [64.0, 48, 32], [True, 1, 1], "abc", 5, None, {"a": 1}, [[1], 2, 3]],
)
def test_a_width_is_three_whole_numbers(width):
    with pytest.raises(ConfigError, match="width"):
        AgssConfig.from_dict({"width": width})


def test_presets_are_within_their_ranges_and_survive_being_written():
    for config in PRESETS.values():
        assert AgssConfig.from_dict(config.to_dict()) == config
