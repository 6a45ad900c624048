from __future__ import annotations

import pytest
from fake_cvat import TOKEN, FakeCvat, Function, colours
from job_world import Clip

from agss_model.cvat.server import client as cvat_server
from serverless.job import run as job


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    monkeypatch.setattr(job, "BLOCK", 3)
    monkeypatch.setattr(cvat_server.Server, "pause", 0.0, raising=False)
    original = cvat_server.Server.__init__
    monkeypatch.setattr(cvat_server.Server, "__init__", lambda self, client: original(self, client, pause=0.0))
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def clip():
    return Clip()


@pytest.fixture
def cvat(clip):
    with FakeCvat(clip.images()) as server:
        server.functions["agss-vos"] = Function(colours)
        yield server
