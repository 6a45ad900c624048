"""Reading function.yaml strictly: Nuclio leaves out what it does not know without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agss_model.errors import ConfigError

ANYTHING: Mapping[str, Any] = {}
KNOWN: Mapping[str, Any] = {
    "metadata": {
        "name": None,
        "namespace": None,
        "labels": ANYTHING,
        "annotations": {
            "name": None,
            "version": None,
            "type": None,
            "spec": None,
            "supported_shape_types": None,
            "framework": None,
            "help_message": None,
        },
    },
    "spec": {
        "description": None,
        "runtime": None,
        "handler": None,
        "env": None,
        "eventTimeout": None,
        "readinessTimeoutSeconds": None,
        "minReplicas": None,
        "maxReplicas": None,
        "targetCPU": None,
        "volumes": None,
        "nodeSelector": ANYTHING,
        "tolerations": None,
        "imagePullSecrets": None,
        "securityContext": ANYTHING,
        "build": {
            "image": None,
            "baseImage": None,
            "noCache": None,
            "offline": None,
            "directives": {"preCopy": None, "postCopy": None},
        },
        "triggers": {
            "http": {
                "kind": None,
                "numWorkers": None,
                "workerAvailabilityTimeoutMilliseconds": None,
                "attributes": {
                    "maxRequestBodySize": None,
                    "port": None,
                    "readBufferSize": None,
                    "cors": ANYTHING,
                    "ingresses": ANYTHING,
                },
            }
        },
        "resources": {"limits": ANYTHING, "requests": ANYTHING},
        "platform": {
            "attributes": {
                "restartPolicy": {"name": None, "maximumRetryCount": None},
                "network": None,
                "mountMode": None,
            }
        },
    },
}
"""Keys that Nuclio and CVAT read; None: a value, `ANYTHING`: keys of the user's own."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class FunctionFile:
    """What a server needs of function.yaml, with Nuclio's defaults for what is not there.

    Attributes:
        document: the whole file.
        name: of the function.
        handler: `module:function`.
        environment: variables of the workers.
        workers: processes.
        body_limit: bytes of a request.
        worker_wait: seconds a request waits for a free worker.
        event_timeout: seconds a request may take; None for any.
        readiness_timeout: seconds within which the workers must be ready.
    """

    document: Mapping[str, Any]
    name: str
    handler: str
    environment: Mapping[str, str]
    workers: int
    body_limit: int
    worker_wait: float
    event_timeout: float | None
    readiness_timeout: float


def read_function_file(path: Path) -> FunctionFile:
    """Read and check a file.

    Raises:
        ConfigError: it is missing, is no YAML, has a key that Nuclio does not read, or a value it cannot use.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a function file: {error}") from error
    check_keys(document, KNOWN, path.name)
    try:
        return _function(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} lacks a value or has one of the wrong kind: {error!r}.") from error


def check_keys(values: object, known: Mapping[str, Any], place: str) -> None:
    """Refuse keys that would be left out without a word.

    Raises:
        ConfigError: with the key, and the one that was probably meant.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place} must hold keys and values, not {type(values).__name__}.")
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise ConfigError(f"{place} has a key {key!r} that Nuclio does not read; {hint}")
        if known[key]:
            check_keys(value, known[key], f"{place}: {key}")


def seconds(duration: str) -> float:
    """A duration as Go writes it, such as `30s` or `1m30s`.

    Raises:
        ValueError: it is not one.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 30s or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _function(document: Mapping[str, Any]) -> FunctionFile:
    spec, trigger = document["spec"], document["spec"]["triggers"]["http"]
    environment = {str(entry["name"]): str(entry["value"]) for entry in spec.get("env") or []}
    timeout = spec.get("eventTimeout")
    return FunctionFile(
        document=document,
        name=str(document["metadata"]["name"]),
        handler=str(spec["handler"]),
        environment=environment,
        workers=int(trigger.get("numWorkers", 1)),
        body_limit=int(trigger.get("attributes", {}).get("maxRequestBodySize", 4 << 20)),
        worker_wait=int(trigger.get("workerAvailabilityTimeoutMilliseconds", 10_000)) / 1000,
        event_timeout=seconds(timeout) if timeout else None,
        readiness_timeout=float(spec.get("readinessTimeoutSeconds", 120)),
    )
