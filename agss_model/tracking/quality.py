"""How far each object's mask can be trusted, why not, and when it is honest to say "lost".

Everything is computed on the small masks the network carries, for all objects at once. What a frame tells of a mask is
in `agss_model.tracking.clues`; `ScoreHead` turns it into a score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from agss_model.errors import WeightsError
from agss_model.network.intervals import ends, spans
from agss_model.tracking.clues import CONTACT, NAMES, Regions

LOST = "lost"
JUMP = "jump"
UNCERTAIN = "uncertain"
CHANGED = "changed size"
MOVED = "disagrees with motion"
BACK = "found again"
DISAGREE = "forward and backward disagree"
ANOTHER = "may be another"
CUT = "the scene changes"
CROSSING = "meets one alike"
EVENTS = (BACK, CUT, CROSSING)
"""What is worth a look where it begins, however good the mask seems."""

MIN_AREA = 3.0
"""Pixels of the carried mask (at 1/4 for `lite`) below which an object counts as gone."""
SEEN = 0.3
"""Share of a carried pixel from which the object counts as having been there."""
REACH = 1.0
"""How far an object gets from one frame to the next beyond where flow puts it, in its own width and height."""
NEAR = 4
"""The same in pixels of the carried mask, added, for what is tiny."""
RETURN_CERTAINTY = 0.6
"""Certainty from which a lost object is believed to be found again."""
ELSEWHERE = 0.6
"""Probability of being on something else from which a mask is dropped and the object is lost; of 65 masks of training
clips that were held out and beyond it, 63 were below IoU 0.1; of 105 beyond 0.5, 98."""
RETURN_ELSEWHERE = 0.5
"""The same for an object that was lost."""

HEAD = "scores"
"""In the metadata of a file of weights: it holds a head, and the clues it was fitted on under `clues`."""
SCENE_ALIKE = 0.65
"""Mean cosine of a frame's cells with the frame before's below which the scene is another."""
RIVAL = 0.3
"""Share of the cells of a mask in contact with another object's that look like others, from which two alike meet."""
OUTPUTS = 2
_CUT, _CONTACT, _OTHERS = (NAMES.index(name) for name in ("cut", "contact", "resembles_others"))
SHORT = 1e-6
"""Width of a piece between equal knots, in which the line jumps."""
PIECES = 64
"""At most so many to a clue in a file."""


@dataclass(frozen=True)
class Quality:
    """What is thought of each object's mask; every tensor is (N,).

    Attributes:
        score: float in [0, 1].
        lost: bool.
        certainty: float in [0, 1], how clearly the pixels of the mask were decided.
        agreement: float in [0, 1], soft IoU with the mask of the frame before, moved along the flow.
        change: float, area divided by the moved mask's area.
        jumped: bool, far from where it was.
        returned: bool, found again after it was lost.
        another: bool, lost because what was found does not go with what a person drew.
        cut: bool, the scene is another than in the frame before.
        crossing: bool, touches an object that looks like it.
    """

    score: Tensor
    lost: Tensor
    certainty: Tensor
    agreement: Tensor
    change: Tensor
    jumped: Tensor
    returned: Tensor
    another: Tensor
    cut: Tensor
    crossing: Tensor

    def on_cpu(self) -> Quality:
        """The same on the CPU, brought there in one piece: a GPU is waited for once."""
        if self.score.device.type == "cpu":
            return self
        names = [field.name for field in fields(self)]
        rows = torch.stack([getattr(self, name).float() for name in names]).cpu()
        return Quality(**{n: row.to(getattr(self, n).dtype) for n, row in zip(names, rows, strict=True)})

    def reasons(self, index: int) -> tuple[str, ...]:
        """Words for why one object's score is low; empty when nothing stands out."""
        events = {CUT: bool(self.cut[index]), CROSSING: bool(self.crossing[index])}
        if bool(self.lost[index]):
            why = {JUMP: bool(self.jumped[index]), ANOTHER: bool(self.another[index]), CUT: events[CUT]}
            return (LOST, *(word for word, holds in why.items() if holds))
        change = float(self.change[index])
        found = {
            BACK: bool(self.returned[index]),
            **events,
            UNCERTAIN: float(self.certainty[index]) < 0.7,
            MOVED: float(self.agreement[index]) < 0.5,
            CHANGED: not 0.6 < change < 1.7,
        }
        return tuple(word for word, holds in found.items() if holds)


def reach(moved: Tensor, was_lost: Tensor) -> Tensor:
    """Where each object can be, going by where it was: the box around it, enlarged.

    Args:
        moved: (N, h, w) float in [0, 1], the masks of the frame before, aligned by flow.
        was_lost: (N,) bool, lost in the frame before; such an object can be anywhere.

    Returns:
        (N, h, w) bool.
    """
    in_row, in_column = moved.amax(2) > SEEN, moved.amax(1) > SEEN
    anywhere = was_lost | ~in_row.any(1)
    rows, columns = _interval(in_row), _interval(in_column)
    return rows[:, :, None] & columns[:, None, :] | anywhere[:, None, None]


def _interval(occupied: Tensor) -> Tensor:
    """(N, L) bool -> (N, L) bool: from the first to the last True, enlarged by the reach."""
    first, last = ends(occupied)
    return spans(occupied, (last - first + 1) * REACH + NEAR)


def assess(regions: Regions, was_lost: Tensor, trust: Trust | None = None) -> Quality:
    """Judge the masks of one frame.

    An object is lost when hardly a pixel is left, when all that was found lies out of its reach (a jump, most often to
    a look-alike), when what was found does not go with what a person drew, or when it was lost and what is found now is
    not clear.

    Args:
        regions: the masks; what was found out of reach (see `reach`) does not count.
        was_lost: (N,) bool, lost in the frame before.
        trust: of the masks; None for a network without a head for scores, which are then made up of how clear a mask is
            and how well it goes with the frame before.
    """
    area, before = regions.area.float(), regions.before.float()
    certainty, agreement = regions.certainty.clamp(0, 1), regions.agreement
    gone = area < torch.minimum(before.clamp_min(1) * 0.5, torch.full_like(area, MIN_AREA)).clamp_min(1)
    jumped = gone & (regions.anywhere >= MIN_AREA) & ~was_lost
    unclear = was_lost & (certainty < RETURN_CERTAINTY)
    never = torch.zeros_like(was_lost)
    another = never if trust is None else trust.another > torch.where(was_lost, RETURN_ELSEWHERE, ELSEWHERE)
    lost = gone | unclear | another
    score = _guess(certainty, agreement, was_lost) if trust is None else trust.iou
    return Quality(
        score=torch.where(lost, torch.zeros_like(score), score).clamp(0, 1),
        lost=lost,
        certainty=certainty,
        agreement=agreement,
        change=area / before.clamp_min(1),
        jumped=jumped,
        returned=was_lost & ~lost,
        another=another & ~gone & ~unclear,
        cut=never if trust is None else trust.cut,
        crossing=never if trust is None else trust.crossing,
    )


def _guess(certainty: Tensor, agreement: Tensor, was_lost: Tensor) -> Tensor:
    """A score without a head: there is nothing to agree with for what was lost."""
    return torch.where(was_lost, certainty * 0.6, certainty * (0.4 + 0.6 * agreement.sqrt()))


@dataclass(frozen=True)
class Trust:
    """What the head thinks of N masks.

    Attributes:
        iou: (N,) float in [0, 1], the intersection over union with the truth that is to be expected.
        another: (N,) float in [0, 1], how probable it is that the mask is not on the object at all.
        cut: (N,) bool, the scene is another than in the frame before.
        crossing: (N,) bool, the mask touches another object's and looks like what was drawn of others.
    """

    iou: Tensor
    another: Tensor
    cut: Tensor
    crossing: Tensor


@dataclass(frozen=True)
class ScoreHead:
    """Adds up what each clue says, in log odds: a line of K pieces, level outside of its knots.

    Nothing more: what speaks for a mask never speaks against it (`clues.AGAINST`), and that carries over to clips and
    weights it was not fitted on, which a network with hidden layers did not.

    Attributes:
        knots: (K + 1, F) float32, ascending values of each clue; where two are equal the line jumps.
        rise: (2, F, K) float32, how much each piece adds from its first knot to its last, to the expected IoU and to
            being on something else.
        level: (2,) float32.
    """

    knots: Tensor
    rise: Tensor
    level: Tensor

    def __call__(self, clues: Tensor) -> Trust:
        """Judge masks by their clues, (N, F) float32."""
        iou, another = (torch.einsum("nfk,ofk->no", self.pieces(clues), self.rise) + self.level).sigmoid().unbind(1)
        touching = clues[:, _CONTACT] > CONTACT
        return Trust(iou, another, clues[:, _CUT] < SCENE_ALIKE, touching & (clues[:, _OTHERS] > RIVAL))

    def pieces(self, clues: Tensor) -> Tensor:
        """(N, F) -> (N, F, K) float32 in [0, 1], how far each clue is along each of its pieces."""
        first, last = self.knots[:-1].t(), self.knots[1:].t()
        return ((clues[:, :, None] - first) / (last - first).clamp_min(SHORT)).clamp(0, 1)

    def to(self, device: torch.device) -> ScoreHead:
        """The same on a device."""
        return ScoreHead(**{name: tensor.to(device) for name, tensor in self.state().items()})

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> ScoreHead | None:
        """A head out of a file of weights; None where it was fitted on other clues than today's.

        Raises:
            WeightsError: the file holds something else.
        """
        if metadata.get("kind") != HEAD:
            raise WeightsError(f"These weights hold {metadata.get('kind', 'a network')}, not a head for scores.")
        if metadata.get("clues") != " ".join(NAMES):
            return None
        found = {name: tuple(tensor.shape) for name, tensor in state.items()}
        pieces = min(found.get("knots", (2,))[0] - 1, PIECES)
        shapes = {"knots": (pieces + 1, len(NAMES)), "rise": (OUTPUTS, len(NAMES), pieces), "level": (OUTPUTS,)}
        if found != shapes:
            raise WeightsError(f"A head for scores has tensors {shapes}, this file has {found}; get it again.")
        return cls(**{name: tensor.float() for name, tensor in state.items()})
