"""`agss cvat track` killed at any moment and given again: the job comes to the same, and people's shapes stay."""

from __future__ import annotations

import shutil
import time

import pytest
from fake_cvat import TOKEN, FakeCvat, Function, colours
from job_world import Clip, contents, others
from kills import Work, command, files_of, moments

from agss_model.cvat.server import client as cvat_server
from agss_model.files import is_leftover
from agss_model.masks import encode_cvat_mask
from serverless.job import run as job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def track_quickly(*words):
    """The command, with blocks as small as the clip and no pause before a request is tried again."""
    job.BLOCK = 3
    original = cvat_server.Server.__init__
    cvat_server.Server.__init__ = lambda self, client: original(self, client, pause=0.0)
    command(*words)


class World:
    """A server with two objects drawn by a person, and the command for it."""

    def __init__(self, folder):
        self.state, clip = folder / "state", Clip()
        shutil.rmtree(self.state, ignore_errors=True)
        self.server = FakeCvat(clip.images())
        self.server.functions["agss-vos"] = Function(colours)
        self.server.__enter__()
        for number in (1, 2):
            self.server.draw(1, "mask", 0, encode_cvat_mask(clip.mask(number, 0)), group=number)
        self.server.draw(1, "mask", 7, encode_cvat_mask(clip.mask(2, 7)), group=2, label_id=1)
        self.server.draw(1, "ellipse", 3, [10, 10, 20, 5])
        self.people = others(self.server)
        words = ["cvat", "track", "--host", self.server.url, "--job", "1", "--model", "function"]
        environment = {"CVAT_ACCESS_TOKEN": TOKEN, "XDG_STATE_HOME": str(self.state)}
        self.work = Work(track_quickly, *words, log=folder / "log", environment=environment)

    def close(self):
        self.server.__exit__()


def test_killed_at_any_moment_and_given_again_the_job_comes_to_the_same(tmp_path):
    world = World(tmp_path)
    world.work.finish()
    began = time.monotonic()
    World(tmp_path).work.finish()
    seconds, expected, files = time.monotonic() - began, contents(world.server), files_of(world.state).keys()
    assert len(expected) > 15
    world.close()
    for moment in moments(seconds):
        world = World(tmp_path)
        while world.work.kill_after(moment) and moment > seconds / 2:
            moment /= 2
            assert [shape for shape in others(world.server) if shape in world.people] == world.people
        world.work.finish()
        assert contents(world.server) == expected, moment
        assert others(world.server) == world.people
        found = [name.rsplit("/", 1)[-1] for name in files_of(world.state)]
        assert not [name for name in found if is_leftover(name)]
        assert len(found) == len(files)
        world.close()
