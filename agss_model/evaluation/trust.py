"""How well scores tell good masks from bad ones, and whether they mean what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agss_model.review import look_first
from agss_model.runs.scores import Row

Values = npt.NDArray[np.floating]


@dataclass(frozen=True)
class JudgedMasks:
    """M masks with a truth.

    Attributes:
        scores: (M,) in [0, 1].
        ious: (M,) in [0, 1].
        named: (M,) whether the review list names the mask.
    """

    scores: Values
    ious: Values
    named: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trustworthiness:
    """How well scores agree with the IoU of their masks.

    Attributes:
        auc_bad: probability that a mask below IoU 0.5 is scored lower than one above; None without both kinds.
        auc_poor: the same at IoU 0.8.
        calibration_error: mean difference of score and IoU over ten bins of scores, weighted by their masks.
        named_bad: share of the masks below IoU 0.5 that lie in a stretch the review list names; None without any.
        named_good: the same of those above 0.8.
        masks: how many.
        mean_iou: over them.
        mean_score: over them.
    """

    auc_bad: float | None
    auc_poor: float | None
    calibration_error: float
    named_bad: float | None
    named_good: float | None
    masks: int
    mean_iou: float
    mean_score: float


def trustworthiness(scores: Values, ious: Values, named: npt.NDArray[np.bool_]) -> Trustworthiness | None:
    """Compare scores with the truth; None without a mask.

    Args:
        scores: (M,) in [0, 1].
        ious: (M,) in [0, 1].
        named: (M,) whether the review list names the mask.
    """
    if not len(scores):
        return None
    return Trustworthiness(
        auc_bad=auc(scores, ious < 0.5),
        auc_poor=auc(scores, ious < 0.8),
        calibration_error=calibration_error(scores, ious),
        named_bad=_share(named, ious < 0.5),
        named_good=_share(named, ious > 0.8),
        masks=len(scores),
        mean_iou=float(np.mean(ious)),
        mean_score=float(np.mean(scores)),
    )


def _share(named: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float | None:
    return float(named[of].mean()) if of.any() else None


def judged(rows: Iterable[Row], ious: Mapping[tuple[int, int], float]) -> JudgedMasks:
    """The masks of one run that have a truth.

    Args:
        rows: of the whole run.
        ious: by object id and frame number.
    """
    rows = list(rows)
    stretches = look_first(rows, limit=None)
    named = {(stretch.object_id, frame) for stretch in stretches for frame in range(stretch.first, stretch.last + 1)}
    here = [row for row in rows if (row.object_id, row.frame) in ious and not row.human]
    places = [(row.object_id, row.frame) for row in here]
    return JudgedMasks(
        np.array([row.score for row in here], np.float64),
        np.array([ious[place] for place in places], np.float64),
        np.array([place in named for place in places], np.bool_),
    )


def together(parts: Iterable[JudgedMasks]) -> Trustworthiness | None:
    """Compare the scores of all masks of several runs with the truth; None without a mask."""
    parts = list(parts)
    if not parts:
        return None
    columns = ([getattr(part, name) for part in parts] for name in ("scores", "ious", "named"))
    return trustworthiness(*(np.concatenate(column) for column in columns))


def auc(scores: Values, bad: npt.NDArray[np.bool_]) -> float | None:
    """Probability that a bad one has the lower score, ties counting half; None unless there are bad and good ones."""
    below, above = int(bad.sum()), int((~bad).sum())
    if not below or not above:
        return None
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[~bad].sum() - above * (above + 1) / 2) / (below * above))


def calibration_error(scores: Values, ious: Values, bins: int = 10) -> float:
    """Mean over equal bins of scores of |mean score - mean IoU|, weighted by how many lie in each."""
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    difference = np.bincount(place, scores, bins) - np.bincount(place, ious, bins)
    return float(np.abs(difference).sum() / count.sum())
