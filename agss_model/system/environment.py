"""What a measurement must say about where it was made."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch

import agss_model


def versions() -> dict[str, str]:
    """Versions of everything that can change a result."""
    engines = {name: version_of(name) for name in ("onnxruntime", "openvino") if find_spec(name) is not None}
    return {
        "agss": agss_model.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        **engines,
    }


def version_of(module: str) -> str:
    """Version of the package that brings a module, whose name may be another (`onnxruntime-gpu`)."""
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        packages = metadata.packages_distributions().get(module, [])
        return metadata.version(packages[0]) if packages else "unknown"


def machine(device: torch.device | str = "cpu") -> dict[str, str | int]:
    """The processor, the threads torch uses on it, and the GPU where one is used."""
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "device": str(device),
    }
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def commit() -> str | None:
    """The commit of the checkout this package runs from, with "-dirty" after it if changed; None outside of one."""
    root = Path(agss_model.__file__).resolve().parent.parent
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing from outside
    return done.stdout.strip() or None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
