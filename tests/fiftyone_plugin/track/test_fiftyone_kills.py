"""Killed at any moment and given again, tracking and exporting a dataset come to the same; labels of people stay."""

from __future__ import annotations

import pytest
from kills import KILLS, Work, emptied, files_of, groups, moments, preload, timed
from little_videos import drawn, plain, video_sample, write_video

from agss_model.config import preset
from agss_model.network import build_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 * KILLS + 600)]
FRAMES = 4


@pytest.fixture(autouse=True)
def _forks_soon(_connected):
    preload("fiftyone", "fiftyone_plugin.track.tracking", "fiftyone_plugin.operators")


def track(name):
    import fiftyone as fo
    import torch

    from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

    torch.manual_seed(0)
    list(TrackingRun(fo.load_dataset(name), TrackSettings("gt", "tracks"), build_network(preset("propagation")).eval()))


def export(name, out, layout):
    import fiftyone as fo

    from fiftyone_plugin.data.clips import find_clips
    from fiftyone_plugin.data.fields import input_field
    from fiftyone_plugin.exchange.exporting import Exporter

    data = fo.load_dataset(name)
    list(Exporter(data, find_clips(data, None, None), input_field(data, "gt"), out, layout, "all"))


@pytest.fixture
def kept(scene, tmp_path):
    """Three videos with their first frame drawn, in the database beyond this process."""
    import fiftyone as fo

    made = fo.Dataset(persistent=True)
    for name in "abc":
        path = write_video(tmp_path / f"{name}.mp4", scene, FRAMES)
        made.add_sample(video_sample(path, {0: drawn(scene, 0)}))
    yield made
    made.delete()


def told(dataset):
    """Masks and scores by frame and index; ids are new in every run."""
    found = {}
    for place, labels in plain(dataset, "tracks").items():
        for label in labels["detections"]:
            found[(*place, label["index"])] = (label["label"], label["mask"], label["bounding_box"])
    return found


def test_tracking_a_dataset(kept, tmp_path):
    work = Work(track, kept.name, log=tmp_path / "log")
    drawings = plain(kept, "gt")
    seconds, whole = timed(work), told(kept)
    assert len(whole) == 3 * FRAMES * 2
    for killed in groups(seconds):
        kept.delete_frame_field("tracks")
        for moment in killed:
            work.kill_after(moment)
        work.finish()
        assert told(kept) == whole, killed
        assert plain(kept, "gt") == drawings


@pytest.mark.parametrize("layout", ["youtube-vos", "labelme"])
def test_exporting_a_dataset(kept, tmp_path, layout):
    folder = emptied(tmp_path / "exports")
    work = Work(export, kept.name, folder / "out", layout, log=tmp_path / "log")
    seconds = timed(work)
    whole, drawings = files_of(folder), plain(kept, "gt")
    for moment in moments(seconds, (KILLS + 1) // 2):
        emptied(folder)
        work.kill_after(moment)
        if not (folder / "out").exists():  # it is there as a whole, or not at all
            work.finish()
        assert files_of(folder) == whole, moment
        assert plain(kept, "gt") == drawings
