"""How long a frame takes and where the time goes, on a made-up clip whose objects never leave.

Before each measured frame the tracker is given the true masks of the frame before, so the work is the same whatever the
network would predict: untrained networks can be measured.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from agss_model.flow import FlowEstimator
from agss_model.masks.labels import BoolMask
from agss_model.network.base import AGSSVOS
from agss_model.system.timing import Clock
from agss_model.tracking.memory import Memory
from agss_model.tracking.tracker import Tracker

ObjectSize = Literal["small", "typical", "large"]
TimeKind = Literal["wall", "processor"]
"""What a user waits, or what all threads of this process worked, which a busy machine hardly changes."""
_NOW: dict[TimeKind, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
MODULES = ("flow", "warp", "agnostic", "specific", "decoder", "score", "labels")
_SHARE = {"small": 0.05, "typical": 0.12, "large": 0.25}  # of the frame's width


@dataclass(frozen=True)
class Scene:
    """A made-up clip.

    Attributes:
        objects: how many.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        object_size: "small", "typical" or "large": 5, 12 or 25 % of the width.
        seed: of textures, places and motion.
    """

    objects: int
    width: int = 854
    height: int = 480
    object_size: ObjectSize = "typical"
    seed: int = 0

    def frames(self) -> Iterator[tuple[npt.NDArray[np.uint8], dict[int, BoolMask]]]:
        """Endless frames, (H, W, 3) uint8 RGB, each with the (H, W) masks of all objects.

        Objects lie on a grid, large ones smaller where it is narrow, so that none hides another.
        """
        rng = np.random.default_rng(self.seed)
        columns = int(np.ceil(np.sqrt(self.objects * self.width / self.height)))
        rows = -(-self.objects // columns)
        cell = min(self.width / columns, self.height / rows)
        radius = max(1.0, min(_SHARE[self.object_size] * self.width, 0.8 * cell) / 2)
        background = _texture(rng, self.height, self.width)
        textures = [_texture(rng, self.height, self.width) for _ in range(self.objects)]
        phases = rng.uniform(0, 2 * np.pi, self.objects)
        y, x = np.mgrid[: self.height, : self.width]
        number = 0
        while True:
            frame, masks = background.copy(), {}
            for index in range(self.objects):
                swing = 0.1 * cell * np.sin(phases[index] + 0.2 * number)
                centre_x = (index % columns + 0.5) * self.width / columns + swing
                centre_y = (index // columns + 0.5) * self.height / rows
                mask = (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius**2
                frame[mask] = textures[index][mask]
                masks[index + 1] = mask
            yield frame, masks
            number += 1


@dataclass(frozen=True)
class Timing:
    """Seconds per frame, the median over the measured frames.

    Attributes:
        seconds: from frame to label map.
        modules: the same by part of the work; "other" is what belongs to none of `MODULES`.
    """

    seconds: float
    modules: dict[str, float]


class Subject:
    """One network on one scene, measured a frame at a time."""

    def __init__(
        self, network: AGSSVOS, scene: Scene, flow: FlowEstimator | None = None, kind: TimeKind = "wall"
    ) -> None:
        """Prepare, and fill the memory as it is in the middle of a clip.

        Args:
            network: in eval mode, on its device.
            scene: what to track.
            flow: as for `Tracker`.
            kind: of the time that is measured.
        """
        config = network.config
        self._now = _NOW[kind]
        self.network = network
        self.tracker = Tracker(network, flow=flow)
        # Given masks take the places of confident frames, which an untrained network does not have.
        self.tracker.memory = Memory(config.max_references + config.max_recent, 0, 1)
        self._capacity = 1 + config.max_recent
        self._frames = scene.frames()
        self._seconds: list[float] = []
        self._modules: list[dict[str, float]] = []
        self._frame, self._masks = next(self._frames)
        self.tracker.add(self._frame, self._masks)
        for _ in range(config.max_recent):
            self._frame, self._masks = next(self._frames)
            self.tracker.add(self._frame, self._masks)

    def measure(self, *, keep: bool = True) -> None:
        """Track one frame; `keep` is off for warming up."""
        clock = self.tracker.clock
        frame, masks = next(self._frames)
        clock.enabled = True
        clock.reset()
        clock.now = self._now
        with clocked(self.network, clock):
            began = self._now()
            self.tracker.step(frame)
            seconds = self._now() - began
        clock.enabled = False
        if keep:
            totals = clock.totals()
            self._seconds.append(seconds)
            self._modules.append({**totals, "other": seconds - sum(totals.values())})
        self._correct(frame, masks)

    def result(self) -> Timing:
        """Medians over the frames kept so far."""
        names = [*MODULES, "other"]
        modules = {name: statistics.median(found.get(name, 0.0) for found in self._modules) for name in names}
        return Timing(statistics.median(self._seconds), modules)

    def _correct(self, frame: npt.NDArray[np.uint8], masks: dict[int, BoolMask]) -> None:
        """Go on from the truth, with as many references as before."""
        self.tracker.add(frame, masks, self.tracker.frame_index)
        permanent = self.tracker.memory.permanent
        permanent[:] = permanent[-self._capacity :]


@contextmanager
def clocked(network: AGSSVOS, clock: Clock) -> Iterator[None]:
    """Attribute the time inside a network to its parts while the block runs.

    Instance module and decoder count as "specific" and "decoder"; everything else that the network's verbs do (shared
    encoder, agnostic module, reading and writing the memory, normalisation) counts as "agnostic".
    """
    with ExitStack() as stack:
        for attribute, name in (("instance", "specific"), ("decoder", "decoder")):
            module = getattr(network, attribute, None)
            if isinstance(module, nn.Module):
                stack.enter_context(_wrapped(module, "forward", clock, name))
        for verb in ("segment", "remember"):
            stack.enter_context(_wrapped(network, verb, clock, "agnostic"))
        yield


@contextmanager
def _wrapped(owner: nn.Module, method: str, clock: Clock, name: str) -> Iterator[None]:
    """Measure every call of a bound method; the instance's attribute hides the class's meanwhile."""
    original: Callable[..., Any] = getattr(owner, method)

    def measured(*args: object, **kwargs: object) -> object:
        with clock.measure(name):
            return original(*args, **kwargs)

    object.__setattr__(owner, method, measured)
    try:
        yield
    finally:
        object.__delattr__(owner, method)


def measure_together(
    subjects: Sequence[Subject], frames: int, warm_up: int = 1, *, say: Callable[[int, int], None] | None = None
) -> list[Timing]:
    """Measure several subjects in turns, frame by frame, so that a machine that slows down hurts all alike.

    Args:
        subjects: to be compared.
        frames: measured of each.
        warm_up: frames of each that are not counted.
        say: is told how many turns are done, and of how many.
    """
    for number in range(warm_up + frames):
        if say is not None:
            say(number, warm_up + frames)
        for subject in subjects:
            subject.measure(keep=number >= warm_up)
    return [subject.result() for subject in subjects]


def peak_mib(build: Callable[[], Subject], frames: int = 2) -> float | None:
    """Peak memory of tracking, in MiB, in a process of its own.

    Args:
        build: makes the subject there; must be picklable.
        frames: tracked.

    Returns:
        On CUDA what torch allocated on the GPU; otherwise the whole process, Python and libraries included. None where
        the system does not tell.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, build, frames).result()


def _peak_here(build: Callable[[], Subject], frames: int) -> float | None:
    subject = build()
    for _ in range(frames):
        subject.measure()
    if subject.tracker.device.type == "cuda":
        return torch.cuda.max_memory_allocated(subject.tracker.device) / 2**20
    return _peak_resident()


def _peak_resident() -> float | None:
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux ru_maxrss also counts the process that started this one
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return None


def _texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Random blobs of colour of several sizes."""
    total = np.zeros((height, width, 3), np.float32)
    for cells in (8, 32, 128):
        noise = rng.uniform(0, 255, (max(2, height * cells // width), cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / 3
    return total.clip(0, 255).astype(np.uint8)
