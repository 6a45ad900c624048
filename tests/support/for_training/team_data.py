"""A little team: videos with annotations in several forms."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from agss_model.config import preset
from agss_model.masks.rle import encode_cvat_mask
from agss_model.network import build_network
from agss_model.video import VideoWriter
from agss_model.weights.files import save_weights


def frame_and_masks(t, size=(48, 80), seed=0):
    """Two squares that move to the right over noise."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 90, (*size, 3), dtype=np.uint8)
    masks = {}
    for k in (1, 2):
        mask = np.zeros(size, bool)
        top = 4 + (k - 1) * 22
        mask[top : top + 16, 4 + 2 * t : 26 + 2 * t] = True
        frame[mask] = (200, 40 * k, 30)
        masks[k] = mask
    return frame, masks


def write_frames(folder, count=12, seed=0):
    folder.mkdir(parents=True)
    for t in range(count):
        cv2.imwrite(str(folder / f"frame_{t:06d}.png"), frame_and_masks(t, seed=seed)[0][..., ::-1])
    return folder


def write_video(path, count=12, seed=0):
    with VideoWriter(path, 10, (80, 48)) as writer:
        for t in range(count):
            writer.write(frame_and_masks(t, seed=seed)[0])
    return path


def write_export(folder, *, annotated=(0, 4, 8, 11), frames=12, name="clip", video=None, start=0, step=1, seed=0):
    """annotations.xml with masks in groups 1 and 2, and its images, or the name of its video."""
    folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for t in annotated:
        for k, mask in frame_and_masks(start + t * step, seed=seed)[1].items():
            *runs, left, top, right, bottom = encode_cvat_mask(mask)
            tracks.append(
                f'<track id="{len(tracks)}" label="box" source="manual" group_id="{k}">'
                f'<mask frame="{start + t * step}" keyframe="1" outside="0" rle="{", ".join(map(str, runs))}" '
                f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}" z_order="0"/>'
                "</track>"
            )
    rule = f"step={step}" if step > 1 else ""
    (folder / "annotations.xml").write_text(
        f"<annotations><version>1.1</version><meta><task><id>1</id><name>{name}</name><size>{frames}</size>"
        f"<start_frame>{start}</start_frame><frame_filter>{rule}</frame_filter>"
        "<original_size><width>80</width><height>48</height></original_size>"
        f"<source>{video or 'clip.mp4'}</source></task></meta>{''.join(tracks)}</annotations>"
    )
    if video is None:
        write_frames(folder / "images", frames, seed)
    return folder


def little_weights(path, seed=0):
    torch.manual_seed(seed)
    network = build_network(preset("lite"))
    save_weights(path, network.state_dict(), network.config, {"step": "0"})
    return path
