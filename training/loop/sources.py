"""The data of a run: stills and real clips mixed by weight, a part of them held out for validation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from agss_model.flow.motion import DISFlow, reduced
from training.data.clips import Clips, ClipShape, ClipSource
from training.data.evaluation_data import refuse_evaluation_data
from training.data.stills import StillPool, load_stills
from training.synthesis.scenes import OverlaidClips, StillClips, SynthesisConfig

if TYPE_CHECKING:
    from agss_model.evaluation.layouts import Layout
    from training.loop.settings import RunConfig, Source


@dataclass(frozen=True)
class Mixture:
    """Every batch comes from one of several sources, drawn by weight; a `ClipSource`."""

    sources: Sequence[ClipSource]
    weights: Sequence[float]

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """See `ClipSource`."""
        if len(self.sources) == 1:
            return self.sources[0].sample(shape, seed, device)
        draw = torch.rand(1, generator=torch.Generator().manual_seed(seed)) * sum(self.weights)
        position = int(torch.searchsorted(torch.tensor(self.weights).cumsum(0), draw, right=True))
        return self.sources[min(position, len(self.sources) - 1)].sample(shape, seed, device)


@dataclass(frozen=True)
class Sources:
    """What a run learns from and is validated on.

    Attributes:
        training: of the steps.
        validation: clips never trained on, None where nothing was held out.
        counts: stills or sequences trained on, by data set.
        skipped: what was left out, by reason.
    """

    training: ClipSource
    validation: ClipSource | None
    counts: dict[str, int]
    skipped: dict[str, int]


def open_sources(run: RunConfig, data: Path, *, limit: int | None = None, device: str = "cpu") -> Sources:
    """Open everything a run names.

    Args:
        run: settings.
        data: folder that the sources' folders are below.
        limit: stills to load at most, for a quick look.
        device: where the stills are kept.

    Raises:
        ConfigError: evaluation data would be trained on.
        MediaError: a source is missing or has nothing usable.
    """
    training, validation = list[ClipSource](), list[ClipSource]()
    counts, skipped = dict[str, int](), dict[str, int]()
    pool = cache(lambda folder: _pool(run, folder, limit, device))  # several sources may share a folder
    for source in run.sources:
        if source.kind == "stills":
            opened = _stills(run, source, pool(data / source.folder))
        elif source.kind == "overlaid":
            opened = _overlaid(run, source, data, pool(data / source.stills))
        else:
            opened = _sparse(run, source, data) if source.kind == "sparse" else _videos(run, source, data)
        training.append(opened.training)
        if opened.validation is not None:
            validation.append(opened.validation)
        counts |= opened.counts
        skipped |= opened.skipped
    mixed = Mixture(training, [source.weight for source in run.sources])
    return Sources(mixed, validation[0] if validation else None, counts, skipped)


def _pool(run: RunConfig, folder: Path, limit: int | None, device: str) -> StillPool:
    refuse_evaluation_data(folder)
    return load_stills(folder, shards=run.shards, size=run.still_size, limit=limit).to(device)


def _stills(run: RunConfig, source: Source, pool: StillPool) -> Sources:
    used, kept = split(pool, run.validation_stills)
    held_out = StillClips(kept, run.synthesis) if kept is not None else None
    return Sources(StillClips(used, _synthesis(run, source)), held_out, used.counts(), pool.skipped)


def _synthesis(run: RunConfig, source: Source) -> SynthesisConfig:
    return replace(run.synthesis, **source.synthesis)


def _overlaid(run: RunConfig, source: Source, data: Path, pool: StillPool) -> Sources:
    used, _ = split(pool, run.validation_stills)
    videos = _videos(run, source, data)
    return replace(videos, training=OverlaidClips(used, _synthesis(run, source), videos.training), validation=None)


def split(pool: StillPool, held_out: int) -> tuple[StillPool, StillPool | None]:
    """Keep the last stills out of training; none where the pool is too small to spare them."""
    count = len(pool.names) - held_out
    if held_out <= 0 or count < 1:
        return pool, None
    return pool.subset(range(count)), pool.subset(range(count, len(pool.names)))


def _videos(run: RunConfig, source: Source, data: Path) -> Sources:
    from training.data.video_clips import VideoClips, open_videos

    layout: Layout = "davis" if source.kind == "davis" else "youtube-vos"
    sequences, evaluation = open_videos(data / source.folder, layout, source.list)
    spare = run.validation_videos if 0 < run.validation_videos < len(sequences) else 0
    used, kept = sequences[: len(sequences) - spare], sequences[len(sequences) - spare :]
    held_out = VideoClips(kept, replace(run.videos, tint=0.0)) if kept else None
    name = (data / source.folder).resolve().name
    skipped = {"sequence kept for evaluation": evaluation} if evaluation else {}
    return Sources(VideoClips(used, run.videos), held_out, {name: len(used)}, skipped)


def _sparse(run: RunConfig, source: Source, data: Path) -> Sources:
    from training.data.sparse import SparseClips, open_sparse

    folder = data / source.folder
    refuse_evaluation_data(folder)
    videos = open_sparse(folder)
    kept = open_sparse(data / source.validation) if source.validation else []
    held_out = SparseClips(kept, replace(run.videos, tint=0.0)) if kept else None
    return Sources(SparseClips(videos, run.videos), held_out, {"videos of the team": len(videos)}, {})


def batches(make: Callable[[int], tuple[Clips, ...]], start: int, end: int, ahead: int) -> Iterator[tuple[Clips, ...]]:
    """The batches of steps `start` to `end` - 1, in order, some of them made ahead in a thread.

    Args:
        make: from the number of a step to its batches.
        start: first step.
        end: after the last.
        ahead: how many to keep ready; 0 makes each when it is asked for, in the caller's thread.
    """
    if ahead <= 0:
        yield from map(make, range(start, end))
        return
    with ThreadPoolExecutor(1) as thread:
        waiting: list[Future[tuple[Clips, ...]]] = []
        try:
            for step in range(start, end + ahead):
                if step < end:
                    waiting.append(thread.submit(make, step))
                if step >= start + ahead:
                    yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


class FlowAhead:
    """Adds the flow between all neighbouring frames to clips: it needs no step, so threads compute it beside the GPU.

    Args:
        threads: pairs of frames at once.
        stride: the flow is reduced to the masks that the network carries.
    """

    def __init__(self, threads: int, stride: int) -> None:
        self.stride = stride
        self._threads = ThreadPoolExecutor(threads)
        self._own = threading.local()  # an estimator serves one thread at a time

    def __call__(self, clips: Clips) -> Clips:
        """The clips with `flow` set, on their device."""
        frames = clips.frames.cpu()
        batch, count = frames.shape[:2]
        pairs = [(frames[b, t], frames[b, t - 1]) for b in range(batch) for t in range(1, count)]
        flows = torch.stack(list(self._threads.map(self._pair, pairs)))
        return replace(clips, flow=flows.reshape(batch, count - 1, *flows.shape[1:]).to(clips.frames.device))

    def _pair(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        if not hasattr(self._own, "flow"):
            self._own.flow = DISFlow()
        target, source = pair
        return reduced(self._own.flow(target[None], source[None]), self.stride)[0]


class Stream(Protocol):
    """Where a batch is made."""

    def hand_over(self, clips: Clips) -> None:
        """Wait until the clips are made, and let the training use them."""


class _MainStream:
    """The stream of the training itself."""

    def hand_over(self, clips: Clips) -> None:
        """See `Stream`; nothing to do."""


class _SideStream:
    """A stream of its own on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def hand_over(self, clips: Clips) -> None:
        """See `Stream`; memory that the training has freed may be written to only when its kernels have run."""
        self.stream.synchronize()
        for tensor in clips.tensors().values():
            if tensor.is_cuda:
                tensor.record_stream(torch.cuda.default_stream(self.device))


@contextmanager
def ahead_of(device: torch.device) -> Iterator[Stream]:
    """Work on tensors of a device without waiting for what it was told before, where it can do so.

    A GPU gets a stream for it: on the training's own, each look at a batch that is being made would wait for a step.
    """
    if device.type != "cuda":
        yield _MainStream()
        return
    beside = _SideStream(device)
    with torch.cuda.stream(beside.stream):
        yield beside
