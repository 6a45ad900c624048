"""How long a step takes on this machine."""

from __future__ import annotations

import time

from training.loop.trainer import Trainer

STEPS = 3
"""That are timed; a run's sources take turns, and they do not cost the same."""


def seconds_per_step(trainer: Trainer) -> float:
    """Mean time of a few steps after the first one, which also allocates; the trainer has made them afterwards.

    Raises:
        MediaError: clips cannot be read.
    """
    trainer.train_step(trainer.batch(0))
    began = time.perf_counter()
    for step in range(1, 1 + STEPS):
        trainer.train_step(trainer.batch(step))
    return (time.perf_counter() - began) / STEPS
