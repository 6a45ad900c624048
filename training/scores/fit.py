"""Fit the head on recorded tables, in seconds."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.errors import MediaError
from agss_model.evaluation.trust import Trustworthiness, judged, together
from agss_model.runs.scores import Row
from agss_model.tracking.clues import AGAINST, NAMES
from agss_model.tracking.quality import OUTPUTS, ScoreHead
from training.scores.record import Table

ELSEWHERE = 0.1
"""IoU below which a mask is not on the object at all."""
BAD = 0.5
"""IoU that divides good masks from bad ones; a head is fitted to some of both."""
BATCH = 1024
"""Rows of a step."""
EDGE = 0.02
"""Share of the rows in the outermost pieces at either end, where what is far from usual counts by itself."""
HELD_OUT = 5
"""One of so many clips is kept to stop by and to be judged on."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How the head is fitted.

    Attributes:
        pieces: of the line of each clue, between quantiles.
        steps: of Adam; the learning rate falls to nothing.
        rate: learning rate at first.
        decay: of the squared weights, so that clues that say the same share what they say.
        drop: share of the clues hidden from each row, so that no single one decides.
        seed: of everything random.
    """

    pieces: int = 7
    steps: int = 600
    rate: float = 0.02
    decay: float = 0.02
    drop: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Rows:
    """What a head is fitted to: (R, F) clues, (R, 2) targets, and (R,) weights of the rows."""

    clues: Tensor
    wanted: Tensor
    weight: Tensor


def read_tables(folder: Path) -> dict[str, Table]:
    """The tables of a folder by the names of their lessons.

    Raises:
        MediaError: there is none with today's clues.
    """
    found = {path.stem: Table.load(path) for path in sorted(folder.glob("*.npz"))}
    tables = {name: table for name, table in found.items() if table is not None and len(table.iou)}
    if not tables:
        raise MediaError(f"{folder} holds no table with today's clues; run collect again.")
    return tables


def is_held_out(name: str) -> bool:
    """Whether a lesson is kept from the fit; all that were cut from the same material are, or none."""
    return zlib.crc32(name.split("+")[0].encode()) % HELD_OUT == 0


def rows_of(tables: Iterable[Table]) -> Rows:
    """Masks that can be judged; every lesson counts as the root of its rows, as rows of one clip are alike.

    Raises:
        MediaError: they are all good, or all bad, or there is none.
    """
    clues, iou, weight = [], [], []
    for table in tables:
        judged = ~np.isnan(table.iou) & ~table.lost
        count = int(judged.sum())
        clues.append(table.clues[judged])
        iou.append(table.iou[judged])
        weight.append(np.full(count, max(count, 1) ** -0.5, np.float32))
    told = torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *iou]))
    good = int((told >= BAD).sum())
    if good in (0, len(told)):
        raise MediaError(
            f"A head is fitted to good and bad masks, but {good} of the {len(told)} masks of the clips that are not "
            f"held out reach IoU {BAD}; collect more clips."
        )
    wanted = torch.stack([told, (told < ELSEWHERE).float()], 1)
    every = torch.from_numpy(np.concatenate(weight))
    return Rows(torch.from_numpy(np.concatenate(clues)), wanted, every / every.mean())


def fit(rows: Rows, config: FitConfig | None = None) -> ScoreHead:
    """Fit a head; what speaks for a mask rises all along its line, what speaks against it falls."""
    config = config or FitConfig()
    rng = torch.Generator().manual_seed(config.seed)
    inner = torch.linspace(EDGE, 1 - EDGE, config.pieces - 1)
    knots = torch.quantile(rows.clues, torch.cat([torch.zeros(1), inner, torch.ones(1)]), dim=0)
    speaks = torch.tensor([-1.0 if name in AGAINST else 1.0 for name in NAMES])[:, None]
    sign = torch.stack([speaks, -speaks])
    blank = ScoreHead(knots, torch.zeros(OUTPUTS, len(NAMES), config.pieces), torch.zeros(OUTPUTS))
    known = blank.pieces(rows.clues)
    mean = known.mean(0)
    known = known - mean  # so that a hidden clue says nothing
    size = torch.full_like(blank.rise, 0.04 / config.pieces, requires_grad=True)
    level = torch.zeros(OUTPUTS, requires_grad=True)
    optimiser = torch.optim.Adam([size, level], config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    for _ in range(config.steps):
        row = torch.randint(len(known), (BATCH,), generator=rng)
        shown = known[row] * (torch.rand(BATCH, len(NAMES), 1, generator=rng) >= config.drop)
        said = torch.einsum("nfk,ofk->no", shown, size * sign) + level
        loss = F.binary_cross_entropy_with_logits(said, rows.wanted[row], reduction="none").sum(1)
        optimiser.zero_grad()
        torch.autograd.backward((loss * rows.weight[row]).mean() + config.decay * size.square().sum())
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            size.clamp_(min=0)
    rise = (size * sign).detach()
    return ScoreHead(knots, rise, level.detach() - torch.einsum("fk,ofk->o", mean, rise))


def judge(head: ScoreHead, tables: Iterable[Table]) -> Trustworthiness | None:
    """How far the head's scores can be relied on; what the tracker calls lost has score 0, as in use."""
    return together(judged(*_as_run(head, table)) for table in tables)


def _as_run(head: ScoreHead, table: Table) -> tuple[list[Row], dict[tuple[int, int], float]]:
    """Rows as a run writes them, and the truth by object and frame, where there is something to be judged."""
    scores = np.where(table.lost, 0.0, head(torch.from_numpy(table.clues)).iou.numpy()).tolist()
    columns = zip(table.frame.tolist(), table.object_id.tolist(), scores, table.lost.tolist(), strict=True)
    rows = [Row(frame, object_id, score, lost, (), False, 0) for frame, object_id, score, lost in columns]
    ious = {(row.object_id, row.frame): iou for row, iou in zip(rows, table.iou.tolist(), strict=True) if iou == iou}
    return rows, ious
