"""Siamese encoder of an image and a mask; reference, target and single objects all use these weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agss_model.errors import MediaError
from agss_model.network.base import IMAGENET_MEAN, IMAGENET_STD
from agss_model.network.paper.resnet import FrozenBatchNorm2d, residual_stage

REDUCTION = 32  # of the deepest level


class Levels(NamedTuple):
    """Outputs of the four residual stages, (M, C, H/s, W/s) float.

    Attributes:
        r5: C 2048, s 32.
        r4: C 1024, s 16.
        r3: C 512, s 8.
        r2: C 256, s 4.
    """

    r5: Tensor
    r4: Tensor
    r3: Tensor
    r2: Tensor


class Encoder(nn.Module):
    """ResNet-50 whose stem adds a convolution of the mask to that of the image.

    The image's part of the stem does not depend on any object: `look` computes it once, the other methods share it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.conv1_p = nn.Conv2d(1, 64, 7, stride=2, padding=3)
        self.bn1 = FrozenBatchNorm2d(64)
        self.layer1 = residual_stage(64, 64, blocks=3, stride=1)
        self.layer2 = residual_stage(256, 128, blocks=4, stride=2)
        self.layer3 = residual_stage(512, 256, blocks=6, stride=2)
        self.layer4 = residual_stage(1024, 512, blocks=3, stride=2)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale an image by ImageNet's statistics.

        Args:
            image: (B, 3, H, W) float32 in [0, 1], RGB.

        Raises:
            MediaError: a side is not a multiple of 32.
        """
        height, width = image.shape[-2:]
        if height % REDUCTION or width % REDUCTION:
            raise MediaError(
                f"The network was given an image of {width}x{height}; both sides must be multiples of {REDUCTION}. "
                "Resize or pad it."
            )
        return (image - self.mean) / self.std

    def look(self, image: Tensor) -> Tensor:
        """The image's part of the stem: normalised (B, 3, H, W) -> (B, 64, H/2, W/2)."""
        out: Tensor = self.conv1(image)
        return out

    def visual(self, shared: Tensor, masks: Tensor) -> Tensor:
        """Stem and first stage, for each mask on its own.

        Args:
            shared: (B, 64, H/2, W/2), what `look` returned.
            masks: (B, K, H, W) float in [0, 1].

        Returns:
            (B * K, 256, H/4, W/4), the masks of one image next to each other.
        """
        own = self.conv1_p(masks.flatten(0, 1).unsqueeze(1)).unflatten(0, masks.shape[:2])
        return self.first_stage((shared.unsqueeze(1) + own).flatten(0, 1))

    def first_stage(self, looked: Tensor) -> Tensor:
        """(M, 64, H/2, W/2), the stem's image and mask parts added -> (M, 256, H/4, W/4)."""
        stem = functional.relu(self.bn1(looked), inplace=True)
        out: Tensor = self.layer1(functional.max_pool2d(stem, 3, stride=2, padding=1))
        return out

    def forward(self, shared: Tensor, masks: Tensor) -> Levels:
        """All stages; arguments as in `visual`."""
        r2 = self.visual(shared, masks)
        r3 = self.layer2(r2)
        r4 = self.layer3(r3)
        return Levels(self.layer4(r4), r4, r3, r2)
