"""How the function is set up: environment variables, as function.yaml and `nuctl deploy --env` give them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from agss_model.errors import ConfigError


@dataclass(frozen=True)
class FunctionSettings:
    """What a deployment decides.

    Attributes:
        weights: name of shipped weights, or path of a safetensors file inside the container (`AGSS_WEIGHTS`).
        device: cpu, cuda, cuda:N or mps (`AGSS_DEVICE`); never replaced by another.
        engine: what runs the network, one of `agss_model.engines.ENGINES`; auto takes the fastest that is installed
            and has torch's masks (`AGSS_ENGINE`).
        threads: CPU threads, 0 for all cores (`AGSS_THREADS`).
        cache_mib: of features kept between requests, in MiB (`AGSS_CACHE_MIB`).
        redis_host: shared by replicas, empty for none (`CVAT_FUNCTIONS_REDIS_HOST`, set by CVAT's deploy scripts).
        redis_port: of it (`CVAT_FUNCTIONS_REDIS_PORT`).
        redis_secret: known to the replicas only; what others write to that Redis is then never taken for theirs
            (`AGSS_REDIS_SECRET`).
    """

    weights: str = "lite"
    device: str = "cpu"
    engine: str = "auto"
    threads: int = 0
    cache_mib: int = 256
    redis_host: str = ""
    redis_port: int = 6379
    redis_secret: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> FunctionSettings:
        """Read the variables; an empty one counts as absent.

        Raises:
            ConfigError: a number is not one, or below zero.
        """
        given = {
            field: environment[name].strip() for field, name in _VARIABLES.items() if environment.get(name, "").strip()
        }
        numbers = {field: _number(_VARIABLES[field], given.pop(field)) for field in _NUMBERS if field in given}
        return cls(**given, **numbers)  # type: ignore[arg-type]


_VARIABLES = {
    "weights": "AGSS_WEIGHTS",
    "device": "AGSS_DEVICE",
    "engine": "AGSS_ENGINE",
    "threads": "AGSS_THREADS",
    "cache_mib": "AGSS_CACHE_MIB",
    "redis_host": "CVAT_FUNCTIONS_REDIS_HOST",
    "redis_port": "CVAT_FUNCTIONS_REDIS_PORT",
    "redis_secret": "AGSS_REDIS_SECRET",
}
_NUMBERS = ("threads", "cache_mib", "redis_port")


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{name} is {text!r}; set it to a whole number from 0 on, or leave it out.")
    return int(text)
