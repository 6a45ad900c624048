"""The head that turns what a frame tells of a mask (`agss_model.clues`) into how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from agss_model.clues import CONTACT, NAMES
from agss_model.errors import WeightsError

KIND = "scores"
"""In the metadata of a file of weights: it holds a head, and the clues it was fitted on under `clues`."""
CUT = 0.65
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

    Nothing more: what speaks for a mask never speaks against it (`agss_model.clues.AGAINST`), and that carries over to
    clips and weights it was not fitted on, which a network with hidden layers did not.

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
        return Trust(iou, another, clues[:, _CUT] < CUT, touching & (clues[:, _OTHERS] > RIVAL))

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
        if metadata.get("kind") != KIND:
            raise WeightsError(f"These weights hold {metadata.get('kind', 'a network')}, not a head for scores.")
        if metadata.get("clues") != " ".join(NAMES):
            return None
        found = {name: tuple(tensor.shape) for name, tensor in state.items()}
        pieces = min(found.get("knots", (2,))[0] - 1, PIECES)
        shapes = {"knots": (pieces + 1, len(NAMES)), "rise": (OUTPUTS, len(NAMES), pieces), "level": (OUTPUTS,)}
        if found != shapes:
            raise WeightsError(f"A head for scores has tensors {shapes}, this file has {found}; get it again.")
        return cls(**{name: tensor.float() for name, tensor in state.items()})
