"""Target model: what each object looks like, as a linear model of the encoder's features, solved in closed form.

Attention asks which remembered cells look like this one; the target model asks which side of a boundary between an
object and everything else this cell lies on, so it can tell apart what attention confuses. For every object it is the
ridge regression of the object's share of a cell (at each of the 4x4 positions inside) on the cell's features, over all
cells of all remembered frames. The features do not depend on the object, so objects known in the same frames share one
Gram matrix and one factorisation, and each adds right-hand sides only. A frame is remembered as its Gram matrix and its
products with the masks: constant memory, and a sum over frames is exact.

Differentiable ridge regression: Bertinetto et al., ICLR 2019; beside attention for video objects: Mao et al. (JOINT),
ICCV 2021; discriminative target models: Robinson et al. (FRTM), CVPR 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.network.base import Likeness, Reference

RIDGE = 0.17
"""Where the learned ridge starts, in mean squares of a feature: the equations stay solvable whatever the features."""
SLOPE, THRESHOLD = 8.0, 0.4
"""Where the curve starts that turns a regressed share into evidence between 0 and 1."""


SOLUTIONS = 2
"""Kept: of everything a tracker remembers, and of what a person drew alone."""

_Held = tuple[Tensor, Tensor, Tensor, float]
"""Statistics, known objects and weight of a reference."""


class TargetModel(nn.Module):
    """Features of cells, and the linear models of all objects on them.

    Args:
        channels: of the encoder's levels at 1/4, 1/8 and 1/16.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(2 * sum(channels) + 1))
        self.log_ridge = nn.Parameter(torch.tensor(math.log(RIDGE)))
        self.log_slope = nn.Parameter(torch.tensor(math.log(SLOPE)))
        self.threshold = nn.Parameter(torch.tensor(THRESHOLD))
        self._solutions: list[tuple[list[_Held], Tensor]] = []
        self._likened: tuple[Tensor, Tensor, Tensor] | None = None  # of the last solution that `likeness` used

    def look(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Features of each cell: every level pooled to 1/16, their 3x3 means, and a constant.

        Args:
            levels: (B, C1, H/4, W/4), (B, C2, H/8, W/8), (B, C3, H/16, W/16), finest first.

        Returns:
            (B, D, H/16, W/16) float32, D = 2 * (C1 + C2 + C3) + 1.
        """
        fine, middle, coarse = levels
        own = torch.cat([coarse, F.avg_pool2d(middle, 2), F.avg_pool2d(fine, 4)], 1).float()
        own = own.contiguous(memory_format=torch.channels_last)  # pooled in a tenth of the time on a CPU
        around = F.avg_pool2d(own, 3, 1, 1, count_include_pad=False)
        every = torch.cat([own, around, torch.ones_like(own[:, :1])], 1)
        return every * self.log_scale.exp()[:, None, None]

    def remember(self, appearance: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """What a frame adds to the normal equations, as means over its cells.

        Args:
            appearance: (B, D, h, w) float32.
            value: (B, N, V, h, w) float in [0, 1], shares of the cells' positions.

        Returns:
            (B, D, D) and (B, N, V, D) float32.
        """
        with torch.autocast(appearance.device.type, enabled=False):
            x = appearance.flatten(2)
            cells = x.shape[2]
            gram = x @ x.transpose(1, 2) / cells
            cross = value.float().flatten(3).flatten(1, 2) @ x.transpose(1, 2) / cells
        return gram, cross.reshape(*value.shape[:3], -1)

    def share(self, appearance: Tensor, references: Sequence[Reference]) -> Tensor:
        """The regressed share of each object in each cell.

        Args:
            appearance: (B, D, h, w) float32, of the target frame.
            references: at least one, with statistics; the same N objects in the same order.

        Returns:
            (B, N, V, h, w) float32, about from 0 to 1; 0 for an object that no reference knows.
        """
        with torch.autocast(appearance.device.type, enabled=False):
            models = self._solved(references)
            share = models.flatten(1, 2) @ appearance.flatten(2)
            return share.reshape(*models.shape[:3], *appearance.shape[2:])

    def likeness(self, appearance: Tensor, references: Sequence[Reference]) -> Likeness:
        """The mean of `share` over the positions in each cell, without working out each; arguments as there."""
        with torch.autocast(appearance.device.type, enabled=False):
            solved = self._solved(references)
            held, models, drawn = self._likened or (None, solved, solved)
            if held is not solved:
                models = solved.mean(2)  # (B, N, D)
                cross = torch.stack([_statistics(r)[1].mean(2) * r.known[..., None] for r in references]).sum(0)
                # The last feature is a constant, so its product with the masks is their area times a factor.
                area = cross[..., -1] / self.log_scale[-1].exp()
                drawn = (models * cross).sum(2) / area.clamp_min(1e-6)
                self._likened = solved, models, drawn
            return Likeness(torch.unflatten(models @ appearance.flatten(2), 2, appearance.shape[2:]), drawn)

    def solve(self, references: Sequence[Reference]) -> Tensor:
        """The linear models of all objects, (B, N, V, D) float32; zero for an object that no reference knows.

        Each object is solved over the references that know it; those known in the same ones share a factorisation.
        """
        grams, crosses = zip(*(_statistics(r) for r in references), strict=True)
        weight = torch.stack([r.known.float() * r.weight for r in references], 2)  # (B, N, R)
        weight = weight / weight.sum(2, keepdim=True).clamp_min(1e-6)
        cross = torch.einsum("bnr,rbnvd->bnvd", weight, torch.stack(crosses))
        batch, objects, positions, size = cross.shape
        clip = torch.arange(batch, device=weight.device).repeat_interleave(objects)
        labelled = torch.cat([clip[:, None].to(weight.dtype), weight.flatten(0, 1)], 1)
        groups, group = torch.unique(labelled, dim=0, return_inverse=True)
        owner = groups[:, 0].long()
        gram = torch.einsum("gr,rgde->gde", groups[:, 1:], torch.stack(grams)[:, owner])
        square = gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-6)[:, None, None]
        ridge = self.log_ridge.exp() * square * torch.eye(size, device=gram.device)
        factor, _ = torch.linalg.cholesky_ex(gram + ridge)
        wanted = cross.flatten(1, 2).transpose(1, 2)[owner]  # of each group all objects of its clip
        solved = torch.cholesky_solve(wanted, factor).transpose(1, 2).reshape(-1, objects, positions, size)
        slot = torch.arange(objects, device=group.device).repeat(batch)
        return solved[group, slot].reshape(batch, objects, positions, size)

    def _solved(self, references: Sequence[Reference]) -> Tensor:
        """`solve`, which a tracker asks for the same references in frame after frame."""
        if torch.is_grad_enabled():
            return self.solve(references)
        held = [(*_statistics(r), r.known, r.weight) for r in references]
        for place, (before, _) in enumerate(self._solutions):
            if len(before) == len(held) and all(_same(a, b) for a, b in zip(before, held, strict=True)):
                self._solutions.append(self._solutions.pop(place))
                return self._solutions[-1][1]
        models = self.solve(references)
        self._solutions = [*self._solutions[1 - SOLUTIONS :], (held, models)]
        return models

    def evidence(self, share: Tensor) -> Tensor:
        """What a share says: a curve through (0, 0) and (1, 1), steepest at the threshold; 0 below.

        So an object that no reference knows leaves no trace.
        """
        slope = self.log_slope.exp()
        low, high = ((end - self.threshold) * slope for end in (0.0, 1.0))
        base = torch.sigmoid(low)
        return ((torch.sigmoid((share - self.threshold) * slope) - base) / (torch.sigmoid(high) - base)).clamp_min(0)


def _same(one: _Held, other: _Held) -> bool:
    """The very same statistics, of the same objects."""
    return one[0] is other[0] and one[1] is other[1] and one[3] == other[3] and torch.equal(one[2], other[2])


def _statistics(reference: Reference) -> tuple[Tensor, Tensor]:
    if reference.gram is None or reference.cross is None:
        raise ValueError("This reference has no statistics for a target model; it is of another network.")
    return reference.gram, reference.cross
