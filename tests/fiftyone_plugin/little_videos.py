"""Datasets of moving squares whose masks are known."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
from PIL import Image

from agss_model.video import VideoWriter
from fiftyone_plugin.data.labels import decode_label, encode_mask
from fiftyone_plugin.data.values import labels_in


def write_video(path, scene, frames=10):
    with VideoWriter(path, 25, (scene.width, scene.height)) as writer:
        for t in range(frames):
            writer.write(scene.frame(t))
    return str(path)


def write_images(folder, scene, frames=8):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{t}.png" for t in range(frames)]
    for t, path in enumerate(paths):
        Image.fromarray(scene.frame(t)).save(path)
    return [str(path) for path in paths]


def detection(mask, **more):
    box, inside = encode_mask(mask)
    return fo.Detection(**{"label": "square", **more}, bounding_box=box, mask=inside)


def drawn(scene, t, ids=None, **more):
    """What a human draws on frame `t`: masks with an index."""
    masks = scene.masks(t)
    return fo.Detections(detections=[detection(masks[i], index=i, **more) for i in ids or masks])


def video_sample(path, labels, field="gt"):
    """A sample with labels by frame number from 0."""
    sample = fo.Sample(filepath=str(path))
    for t, value in labels.items():
        sample.frames[t + 1] = fo.Frame(**{field: value})
    return sample


def masks_of(sample, t, field, size):
    """Masks by index."""
    frame = sample.frames[t + 1] if sample.media_type == "video" else sample
    return {label.index: decode_label(label, *size) for label in labels_in(frame[field])}


def plain(dataset, field):
    """Everything in a field, as plain values: for comparing before and after."""
    dataset.reload()
    found = {}
    for sample in dataset.select_fields(f"frames.{field}").iter_samples():
        for number, frame in sample.frames.items():
            if frame[field] is not None:
                found[sample.filepath, number] = frame[field].to_dict()
    return found


def overlap(one, two):
    return np.logical_and(one, two).sum() / np.logical_or(one, two).sum()
