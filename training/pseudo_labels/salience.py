"""Where the objects of a photograph are: a small head on the shipped encoder's features, fitted on stills with masks.

It says where something stands out, not what it is, in cells of 16 pixels; GrabCut and the tracker find the outlines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.errors import ConfigError, WeightsError
from agss_model.network.base import AGSSVOS
from agss_model.video.source import Image
from agss_model.weights.files import load_into, read_weights, save_weights
from training.data.stills import IGNORE, StillPool

Map = npt.NDArray[np.float32]
SIDE = 320
"""Of the squares that stills are stretched to, pixels."""
WIDTH = 96
BATCH, RATE, DECAY = 16, 2e-3, 0.05
HELD_OUT = 0.08
KIND = "agss-salience"


class Salience(nn.Module):
    """Features of cells -> how probably a cell belongs to something that stands out.

    Args:
        channels: of the features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))
        self.narrow = nn.Conv2d(channels, WIDTH, 1)
        self.wide = nn.Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2)
        self.whole = nn.Linear(WIDTH, WIDTH)
        self.near = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.decide = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, h, w) logits."""
        own = F.gelu(self.narrow((features - self.mean) / self.deviation))
        around = own + F.gelu(self.wide(own)) + self.whole(own.mean((2, 3)))[..., None, None]
        logits: Tensor = self.decide(around + F.gelu(self.near(around)))
        return logits[:, 0]


def features_of(network: AGSSVOS, picture: Image) -> Tensor:
    """What the head looks at: (1, D, h, w) float32, h and w about a sixteenth of the picture's.

    Raises:
        ConfigError: a network without target model.
    """
    height, width = (max(64, side // 32 * 32) for side in picture.shape[:2])
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        found = network.encode(torch.from_numpy(resized.transpose(2, 0, 1).copy())[None].float() / 255)
    if found.appearance is None:
        raise ConfigError("These weights have no target model, whose features pseudo-labels need; take `lite`.")
    return found.appearance


def salience_map(head: Salience, network: AGSSVOS, picture: Image) -> Map:
    """(H, W) float32 in [0, 1] for an (H, W, 3) uint8 picture."""
    with torch.inference_mode():
        cells = head(features_of(network, picture))[0].sigmoid().numpy()
    full = cv2.resize(cells, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(full.clip(0, 1), np.float32)


def fit(
    network: AGSSVOS, pool: StillPool, say: Callable[[str], None], *, epochs: int = 8, seed: int = 0
) -> tuple[Salience, float]:
    """Fit the head on stills; all objects of a still stand out.

    Args:
        network: whose encoder is looked through, in eval mode.
        pool: at least 13 stills, so that one is held out.
        say: gets a line for each epoch.
        epochs: how often each still is seen.
        seed: of order and first weights.

    Returns:
        The head in eval mode, and the mean IoU of its cells on the stills held out.

    Raises:
        ConfigError: too few stills.
    """
    count = len(pool.names)
    held = int(count * HELD_OUT)
    if not held:
        raise ConfigError(f"{count} stills are too few to fit on; at least {int(np.ceil(1 / HELD_OUT))} are needed.")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).tolist()
    found, shares, known = (torch.cat(parts) for parts in zip(*(_cells(network, pool, i) for i in order), strict=True))
    learn = count - held
    torch.manual_seed(seed)
    head = Salience(found.shape[1])
    sample = found[:learn][:: max(1, learn // 300)].float()
    head.mean.copy_(sample.mean((0, 2, 3))[:, None, None])
    head.deviation.copy_(sample.std((0, 2, 3))[:, None, None].clamp_min(1e-3))
    steps = -(-learn // BATCH)
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * steps + 1)
    iou = 0.0
    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(learn, generator=generator), BATCH):
            batch = [part[rows].float() for part in (found, shares, known)]
            if torch.rand(1, generator=generator) < 0.5:
                batch = [part.flip(-1) for part in batch]
            optimiser.zero_grad()
            loss = _loss(head(batch[0]), batch[1], batch[2])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        iou = _iou(head, found[learn:].float(), shares[learn:])
        say(f"epoch {epoch + 1} of {epochs}: IoU of cells {iou:.3f} on {held} stills held out")
    return head.eval(), iou


def save_head(head: Salience, path: Path, base: str, iou: float, config: AgssConfig) -> None:
    """Write the head, bound to the weights whose features it looks at.

    Args:
        head: to keep.
        path: ends in `.safetensors`.
        base: SHA-256 of those weights.
        iou: of its cells on stills held out.
        config: of the network.

    Raises:
        OutputError: the place cannot be written.
    """
    save_weights(path, head.state_dict(), config, {"kind": KIND, "base": base, "iou": f"{iou:.3f}"})


def load_head(path: Path, base: str) -> Salience:
    """Read what `save_head` wrote, in eval mode.

    Raises:
        WeightsError: it is damaged, of something else, or for other weights.
    """
    state, _, about = read_weights(path)
    if about.get("kind") != KIND or about.get("base") != base:
        raise WeightsError(f"{path} was not fitted for these weights; remove it, and it is fitted again.")
    head = Salience(len(state["mean"]))
    load_into(head, state)
    return head.eval()


def _cells(network: AGSSVOS, pool: StillPool, still: int) -> tuple[Tensor, Tensor, Tensor]:
    """(1, D, h, w) half precision features, and (1, h, w): the objects' share of each cell, and how much is known."""
    width, height = pool.sizes[still]
    picture = pool.images[still, :, :height, :width].permute(1, 2, 0).contiguous().numpy()
    square = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    labels = pool.masks[still, :height, :width].numpy()
    features = features_of(network, square)
    known = labels != IGNORE
    cells = features.shape[2:]
    return features.half(), _share((labels > 0) & known, cells), _share(known, cells)


def _share(mask: npt.NDArray[np.bool_], cells: Sequence[int]) -> Tensor:
    size = (int(cells[1]), int(cells[0]))
    return torch.from_numpy(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))[None]


def _loss(logits: Tensor, share: Tensor, known: Tensor) -> Tensor:
    """Cross entropy, and one minus the IoU of each picture."""
    apart = F.binary_cross_entropy_with_logits(logits, share, reduction="none")
    found = logits.sigmoid()
    both = (found * share * known).sum((1, 2))
    either = ((found + share - found * share) * known).sum((1, 2)).clamp_min(1.0)
    return (apart * known).mean() + (1 - both / either).mean()


def _iou(head: Salience, features: Tensor, share: Tensor) -> float:
    with torch.inference_mode():
        found = head(features) > 0
    wanted = share > 0.5
    return float(((found & wanted).sum((1, 2)) / (found | wanted).sum((1, 2)).clamp_min(1)).mean())
