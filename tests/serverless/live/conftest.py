from __future__ import annotations

import pytest
from browser import open_page
from live_button import CORE
from live_button import WHY as NO_CORE
from live_cvat import ADDRESS, LOGIN, WHY, Exact, Live, jobs_of, make_task

from agss_model.cvat.server.client import connect
from serverless.job import access, command, run
from serverless.job.track import FunctionTracking


@pytest.fixture(scope="session")
def live_server():
    """Signed in, as the command does it."""
    if not ADDRESS:
        pytest.skip(WHY)
    server = connect(ADDRESS, login=LOGIN)
    yield server
    server.close()


@pytest.fixture(scope="session")
def live_client(live_server):
    """cvat-sdk's own client, for what the command never does: tasks and exports."""
    from cvat_sdk.core.client import Client, Config

    with Client(ADDRESS, config=Config(status_check_period=0.5), check_server_version=False) as client:
        client.login(LOGIN)
        yield client


@pytest.fixture(scope="session")
def live_jobs(live_server, live_client, tmp_path_factory):
    """One job after the other; tasks are made when they are needed and deleted at the end."""
    tasks = []

    def jobs():
        while True:
            tasks.append(make_task(live_client, tmp_path_factory.getbasetemp()))
            yield from jobs_of(live_server, tasks[-1])

    yield jobs()
    for task in tasks:
        live_client.tasks.remove_by_ids([task])


@pytest.fixture
def live(live_server, live_jobs, tmp_path, monkeypatch):
    """A job of its own. What is tracked is exact at once, see `Exact`; `exact` = False takes the network instead."""
    one = Live(live_server, next(live_jobs), tmp_path)

    def tracking(server, function, info, frames):
        return FunctionTracking(Exact(one) if one.exact else server, function, info, frames)

    monkeypatch.setattr(command, "FunctionTracking", tracking)
    monkeypatch.setattr(access, "connect", lambda *_, **__: live_server)
    monkeypatch.setattr(run, "BLOCK", 3)
    return one


@pytest.fixture
def live_page(live_server, browser):
    """A window for the button."""
    if not CORE:
        pytest.skip(NO_CORE)
    with open_page(browser) as page:
        page.set_default_timeout(60_000)
        yield page
