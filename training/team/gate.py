"""May new weights replace the old ones? Only if they are better on the team's videos, and not worse elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agss_model.errors import ConfigError, MediaError
from agss_model.network.base import AGSSVOS
from agss_model.system.environment import commit, machine, versions
from agss_model.weights.registry import digest_of, load_model
from training.team.kinds import Gains, learned
from training.team.measure import WANTED_IOU, Case, Result, demo_case, measure, open_cases

DEMO = "demo"
Decision = Literal["accepted", "refused", "nothing learned"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How much worse is worse, and what is better; shares of 1.

    Attributes:
        team: fall of mean J&F on a data set of the team.
        general: the same on a general set.
        video: fall of J&F on a single video of the team.
        corrections: rise of corrections on a data set of the team, as a share of the old number.
        better: rise of mean J&F on a data set of the team that is one, where no correction is saved.
    """

    team: float = 0.005
    general: float = 0.01
    video: float = 0.10
    corrections: float = 0.0
    better: float = 0.001


@dataclass(frozen=True)
class DataSet:
    """Videos that are judged together.

    Attributes:
        name: folder, or "demo".
        general: it stands for everything else, not for the team's videos.
        cases: the videos.
        judged_by: for videos that the new weights were trained on, by name, weights of the same training without them.
    """

    name: str
    general: bool
    cases: tuple[Case, ...]
    judged_by: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSetComparison:
    """A data set measured with both weights, video by video; of the team's also what was learned."""

    data: DataSet
    old: tuple[Result, ...]
    new: tuple[Result, ...]
    learned: Gains | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome.

    Attributes:
        decision: whether the new weights may be published; if not, whether they are worse or only no better.
        reasons: why not, or what they are better at, in sentences.
        sets: everything that was measured.
        record: the same as plain values.
    """

    decision: Decision
    reasons: tuple[str, ...]
    sets: tuple[DataSetComparison, ...]
    record: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the new weights may be published."""
        return self.decision == "accepted"


def open_sets(data: Sequence[Path], general: Sequence[str]) -> list[DataSet]:
    """Data sets to judge on.

    Args:
        data: folders of the team, in DAVIS' or YouTube-VOS' layout.
        general: folders of other videos, or "demo" for the shipped clip.

    Raises:
        MediaError: a folder is incomplete, or there is none.
    """
    if not data and not general:
        raise MediaError("nothing to judge on; give --data ROOT with videos that were not trained on")
    return [*(DataSet(str(root), False, tuple(open_cases(root))) for root in data), *open_general(general)]


def open_general(names: Sequence[str]) -> list[DataSet]:
    """General sets: folders, or "demo"; see `open_sets`."""
    return [DataSet(name, True, (demo_case(),) if name == DEMO else tuple(open_cases(Path(name)))) for name in names]


def compare(
    old: str | Path,
    new: str | Path,
    sets: Sequence[DataSet],
    *,
    rules: Rules | None = None,
    wanted: float = WANTED_IOU,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Verdict:
    """Measure both weights on every video and decide.

    Args:
        old: weights in use, by name or path.
        new: weights that want to replace them.
        sets: see `open_sets`.
        rules: how much worse is worse.
        wanted: IoU below which a mask is corrected, above 0 and below 1.
        device: where the networks run.
        say: for a line a video.

    Raises:
        ConfigError: no such IoU.
        WeightsError: weights cannot be loaded.
        MediaError: frames or masks cannot be read.
    """
    if not 0 < wanted < 1:
        raise ConfigError(f"an IoU of {wanted} cannot be wanted; choose one above 0 and below 1, such as {WANTED_IOU}")
    rules = rules or Rules()
    load = cache(partial(load_model, device=device))
    compared = []
    for data in sets:
        networks = [(load(old), load(data.judged_by.get(case.name, new))) for case in data.cases]
        pairs = [_pair(case, both, wanted, say) for case, both in zip(data.cases, networks, strict=True)]
        told = [(case, *pair) for case, pair in zip(data.cases, pairs, strict=True)]
        about = None if data.general else learned(told, wanted)
        compared.append(
            DataSetComparison(data, tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), about)
        )
    decision, reasons = _decide(compared, rules)
    weights = {"old": _weights(old), "new": _weights(new), "wanted_iou": wanted, "rules": vars(rules)}
    record = weights | _record(compared, device) | {"decision": decision, "reasons": list(reasons)}
    record["accepted"] = decision == "accepted"
    return Verdict(decision, reasons, tuple(compared), record)


def _decide(compared: Sequence[DataSetComparison], rules: Rules) -> tuple[Decision, tuple[str, ...]]:
    """Worse anywhere is refused; better must be what the new weights are for, the videos of the team."""
    if refused := [reason for found in compared for reason in _complaints(found, rules)]:
        return "refused", tuple(refused)
    lines = [
        line for found in compared for line in (_praise(found), *(found.learned.sentences() if found.learned else ()))
    ]
    judged = [found for found in compared if not found.data.general] or compared
    if any(_better(found, rules) for found in judged):
        return "accepted", tuple(lines)
    why = f"no correction is saved, and mean J&F does not rise by {100 * rules.better:.1f} points"
    return "nothing learned", (why, *lines)


def _better(found: DataSetComparison, rules: Rules) -> bool:
    return total(found.new) < total(found.old) or mean_jf(found.new) - mean_jf(found.old) >= rules.better


def _pair(
    case: Case, networks: tuple[AGSSVOS, AGSSVOS], wanted: float, say: Callable[[str], None]
) -> tuple[Result, Result]:
    old, new = (measure(case, network, wanted=wanted) for network in networks)
    say(
        f"{case.name}: J&F {old.JF:.3f} -> {new.JF:.3f}, corrections {old.corrections} -> {new.corrections} "
        f"in {old.judged} judged masks"
    )
    return old, new


def mean_jf(results: Sequence[Result]) -> float:
    """Mean over all objects of all videos, as DAVIS reports it."""
    return float(np.average([result.JF for result in results], weights=[result.objects for result in results]))


def total(results: Sequence[Result]) -> int:
    """Corrections of all videos."""
    return sum(result.corrections for result in results)


def _complaints(found: DataSetComparison, rules: Rules) -> list[str]:
    """Where the new weights are worse than may be."""
    name, general = found.data.name, found.data.general
    old, new = mean_jf(found.old), mean_jf(found.new)
    allowed = rules.general if general else rules.team
    lines = []
    if not np.isfinite(new) or old - new > allowed:
        worst = sorted(zip(found.old, found.new, strict=True), key=lambda pair: pair[1].JF - pair[0].JF)[:3]
        where = ", ".join(f"{b.name} {a.JF:.3f} -> {b.JF:.3f}" for a, b in worst if b.JF < a.JF)
        lines.append(
            f"{name}: mean J&F falls from {old:.3f} to {new:.3f}, by {100 * (old - new):.1f} points where "
            f"{100 * allowed:.1f} are allowed; most on {where}"
        )
    if general:
        return lines
    before, after = total(found.old), total(found.new)
    if after > before * (1 + rules.corrections):
        worst = sorted(
            zip(found.old, found.new, strict=True), key=lambda pair: pair[0].corrections - pair[1].corrections
        )
        where = ", ".join(
            f"{b.name} {a.corrections} -> {b.corrections}" for a, b in worst[:3] if b.corrections > a.corrections
        )
        lines.append(f"{name}: corrections rise from {before} to {after}; most on {where}")
    lines += [
        f"{name}: video {b.name} falls from J&F {a.JF:.3f} to {b.JF:.3f}"
        for a, b in zip(found.old, found.new, strict=True)
        if rules.video < a.JF - b.JF
    ]
    return lines


def _praise(found: DataSetComparison) -> str:
    old, new = mean_jf(found.old), mean_jf(found.new)
    line = f"{found.data.name}: J&F {old:.3f} -> {new:.3f}"
    if not found.data.general:
        line += f", corrections {total(found.old)} -> {total(found.new)}"
    return line


def _record(compared: Sequence[DataSetComparison], device: str) -> dict[str, Any]:
    return {
        "sets": [_set(found) | _learned(found) for found in compared],
        "machine": machine(device),
        "versions": versions(),
        "commit": commit(),
    }


def _weights(name: str | Path) -> dict[str, str]:
    return {"name": Path(name).name, "sha256": digest_of(name)}


def _set(found: DataSetComparison) -> dict[str, Any]:
    return {
        "name": Path(found.data.name).name,
        "general": found.data.general,
        "old": {"JF": mean_jf(found.old), "corrections": total(found.old)},
        "new": {"JF": mean_jf(found.new), "corrections": total(found.new)},
        "videos": {
            a.name: {"judged": a.judged, "objects": a.objects, "old": _values(a), "new": _values(b)}
            for a, b in zip(found.old, found.new, strict=True)
        },
    }


def _learned(found: DataSetComparison) -> dict[str, Any]:
    if found.learned is None:
        return {}
    return found.learned.to_dict() | {"judged_by": {n: digest_of(path) for n, path in found.data.judged_by.items()}}


def _values(result: Result) -> dict[str, float]:
    return {"J": result.J, "F": result.F, "JF": result.JF, "corrections": result.corrections}
