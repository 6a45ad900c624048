"""J, F and J&F as DAVIS defines them, the DAVIS and YouTube-VOS layouts, what scores are worth, and times.

Annotated sequences and found masks come in, numbers go out. May import `masks`, `video`, `network`, `flow`, `tracking`,
`runs`, `review` and `system`.
"""

from __future__ import annotations

from agss_model.evaluation.layouts import Layout, Sequence, open_dataset, read_image_set, write_results
from agss_model.evaluation.measures import boundary_f, boundary_map, region_similarity
from agss_model.evaluation.sequence import (
    ObjectScore,
    SequenceScore,
    SequenceScorer,
    evaluate_sequence,
    mean_score,
)
from agss_model.evaluation.trust import Trustworthiness

__all__ = [
    "Layout",
    "ObjectScore",
    "Sequence",
    "SequenceScore",
    "SequenceScorer",
    "Trustworthiness",
    "boundary_f",
    "boundary_map",
    "evaluate_sequence",
    "mean_score",
    "open_dataset",
    "read_image_set",
    "region_similarity",
    "write_results",
]
