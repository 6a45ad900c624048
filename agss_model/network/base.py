"""The verbs every network of this package has, and the records that pass between them.

One frame goes through them in this order::

    features = network.encode(image)                              # once per frame, shared by all objects
    masks = network.segment(features, question)                      # all objects in one pass
    entry = network.remember(features, masks)                     # when the frame is to be looked at again
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.system.timing import Clock

if TYPE_CHECKING:
    from agss_model.tracking.quality import ScoreHead

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Features:
    """What `encode` found in one frame, before any object is looked at.

    Attributes:
        image: (B, 3, H, W) float32, normalised as the encoder wants it.
        levels: maps the network shares between objects, finest first; their meaning is the network's own.
        key: (B, K, H/s, W/s) matching key, or None where a network has none.
        appearance: (B, D, H/s, W/s) float32, what a target model judges by, or None where a network has none.
    """

    image: Tensor
    levels: tuple[Tensor, ...]
    key: Tensor | None = None
    appearance: Tensor | None = None

    def of_clips(self, rows: slice | Tensor) -> Features:
        """The features of some clips of the batch."""
        return Features(
            self.image[rows],
            tuple(level[rows] for level in self.levels),
            None if self.key is None else self.key[rows],
            None if self.appearance is None else self.appearance[rows],
        )


@dataclass(frozen=True)
class Reference:
    """One frame with masks, as the network remembers it.

    Attributes:
        key: (B, K, h, w) what all objects share.
        value: (B, N, V, h, w) what each object left there; V is 0 for networks that remember only the union.
        known: (B, N) bool, False where the frame says nothing of the object (it was annotated only later).
        weight: how much it counts against other references, above 0; for networks that average what they match.
        gram: (B, D, D) and
        cross: (B, N, V, D) float32, the frame's share of a target model's normal equations; None without such a model.
    """

    key: Tensor
    value: Tensor
    known: Tensor
    weight: float = 1.0
    gram: Tensor | None = None
    cross: Tensor | None = None

    def select(self, slots: Sequence[int | None]) -> Reference:
        """The same frame for another list of objects.

        Args:
            slots: for each wanted object its present position, or None for one this frame knows nothing of.
        """

        def picked(x: Tensor) -> Tensor:
            return torch.stack([x[:, s] if s is not None else torch.zeros_like(x[:, 0]) for s in slots], 1)

        cross = None if self.cross is None else picked(self.cross)
        return replace(self, value=picked(self.value), known=picked(self.known), cross=cross)

    def corrected(self, rows: Sequence[int], other: Reference) -> Reference:
        """The same frame and objects, with what another reference says of some of them.

        Args:
            rows: positions of these objects.
            other: of the same frame, objects and order.
        """

        def mixed(mine: Tensor, theirs: Tensor) -> Tensor:
            out = mine.clone()
            out[:, rows] = theirs[:, rows]
            return out

        cross = None if self.cross is None or other.cross is None else mixed(self.cross, other.cross)
        value, known = mixed(self.value, other.value), mixed(self.known, other.known)
        return replace(self, value=value, known=known, cross=cross)


@dataclass(frozen=True)
class Question:
    """What a network is asked about a target frame: where are these N objects?

    Attributes:
        references: at least one, all for the same N objects in the same order.
        previous: the frame before the target, or None where the network is to look at references only.
        warped: (B, N, H, W) float32 in [0, 1], at `mask_stride`: the masks of the frame before, aligned with the target
            by flow.
        valid: (B, N) bool, False for places in a batch of clips that hold no object yet; None where all do.
        within: (B, N, H, W) bool, at `mask_stride`: where each object can be; None for anywhere. What lies outside may
            or may not be searched.
        without: (B, N, S) bool, in training: which of the network's S sources of evidence an object is to be found
            without; None for none.
    """

    references: Sequence[Reference]
    previous: Reference | None
    warped: Tensor
    valid: Tensor | None = None
    within: Tensor | None = None
    without: Tensor | None = None


@dataclass(frozen=True)
class Sighting:
    """What was found in a frame, and what it was decided by.

    Attributes:
        masks: (B, N, H, W), as `AGSSVOS.segment` gives them.
        evidence: (B, N, S + 1, H/s, W/s) float, the share of each cell that the S sources give to each object, and last
            what they give to the others; None where a network has no sources.
    """

    masks: Tensor
    evidence: Tensor | None = None


@dataclass(frozen=True)
class Likeness:
    """How much places look like objects.

    Attributes:
        share: (B, N, H/s, W/s) float, about from 0 to 1.
        drawn: (B, N) float, the mean of it over each object's own cells in the references.
    """

    share: Tensor
    drawn: Tensor


class AGSSVOS(nn.Module, ABC):
    """All objects of a frame in one pass, guided by frames with masks (AGSS-VOS, ICCV 2019).

    Attributes:
        config: what the network is made of.
        stride: image sides must be multiples of it.
        clock: tells a benchmark where the time goes; off otherwise.
        reads_previous: whether `segment` looks at the frame before; where not, it need not be remembered.
        tells_resemblance: whether there is a `resemblance`.
        sources: of evidence that `segment` can be made to go without; 0 for networks that always use all.
        head: says how far a mask can be trusted; None where there is none. It is no part of the network's own weights.
        mask_stride: masks that go in and come out are this much smaller than the image (H = H_image / mask_stride).
    """

    stride: int
    mask_stride: int = 1
    reads_previous: bool = False
    tells_resemblance: bool = False
    sources: int = 0
    head: ScoreHead | None = None

    def __init__(self, config: AgssConfig) -> None:
        super().__init__()
        self.config = config
        self.clock = Clock()

    @abstractmethod
    def encode(self, image: Tensor) -> Features:
        """Look at a frame without any object.

        Args:
            image: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of `stride`.
        """

    @abstractmethod
    def remember(self, features: Features, masks: Tensor, *, lasting: bool = True) -> Reference:
        """Turn a frame and its masks into a reference.

        Args:
            features: of that frame.
            masks: (B, N, H, W) float32 in [0, 1], at `mask_stride`.
            lasting: False for what will only be `previous` of the next frame, so that less need be worked out.
        """

    def compact(self, reference: Reference) -> Reference:
        """The same reference in as few bytes as tracking needs; networks that can do with less override it."""
        return reference

    def resemblance(self, features: Features, references: Sequence[Reference], cells: Tensor) -> Tensor:
        """How much places of a frame look like each object in the references, wherever they are.

        Args:
            features: of the frame; one clip.
            references: as in `Question`.
            cells: (Q,) int64, of the grid at `stride`, row by row.

        Returns:
            (N, Q) float in [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} does not tell resemblance; see `tells_resemblance`.")

    def likeness(self, features: Features, references: Sequence[Reference]) -> Likeness | None:
        """How much each cell looks like each object, by a model of these references alone and wherever it is.

        Args:
            features: of the frame.
            references: as in `Question`.

        Returns:
            None where a network has no such model.
        """
        return None

    def see(self, features: Features, asked: Question) -> Sighting:
        """What `segment` finds, with what it was decided by; arguments as there."""
        return Sighting(self.segment(features, asked))

    @abstractmethod
    def segment(self, features: Features, asked: Question) -> Tensor:
        """Find every object in the target frame.

        Args:
            features: of the target frame.
            asked: which objects, and what is known of them.

        Returns:
            (B, N, H, W) float32 in [0, 1], at `mask_stride`: probabilities, normalised over background and objects
            (equation 4) unless `config.use_normalisation` is off.
        """
