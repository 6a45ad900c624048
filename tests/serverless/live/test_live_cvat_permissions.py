"""What accounts may do on a CVAT server that runs, as its own rules say: the command works for whom a job is assigned.

Skipped on a server whose policy engine allows everything.
"""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from live_cvat import ADDRESS, FRAMES, Exact, Live, jobs_of, make_task
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.cvat.server.client import CvatError, Server, connect
from serverless.job import command
from serverless.job.track import FunctionTracking

pytestmark = pytest.mark.slow
SECRET = "not-a-secret-1A"  # noqa: S105 - of accounts that the test makes


@dataclass(frozen=True)
class Account:
    number: int
    login: tuple[str, str]
    server: Server


@pytest.fixture
def accounts(live_server, live_client) -> Iterator[list[Account]]:
    """Two people without any right of their own, as CVAT makes them when they register."""
    made = []
    for _ in range(2):
        name = f"agss{uuid.uuid4().hex[:10]}"
        about = {"username": name, "email": f"{name}@example.org", "password1": SECRET, "password2": SECRET}
        _register({**about, "first_name": "A", "last_name": "B"})
        server = connect(ADDRESS, login=(name, SECRET))
        made.append(Account(server.get("/api/users/self")["id"], (name, SECRET), server))
    yield made
    for account in made:
        account.server.close()
        live_client.api_client.users_api.destroy(account.number)


def _register(about: dict[str, str]) -> None:
    """As a stranger: CVAT ends the session of whoever registers."""
    body, kind = json.dumps(about).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{ADDRESS}/api/auth/register", body, kind)  # noqa: S310 - the server of the test
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310
        pass


@pytest.fixture
def job(live_server, live_jobs, accounts, tmp_path, monkeypatch) -> Live:
    """A job of the administrator, on a server with rules; what is tracked is exact."""
    one = Live(live_server, next(live_jobs), tmp_path)
    if not _refused(accounts[0], one):
        pytest.skip("this server's policy engine allows everything")
    exactly(one, monkeypatch)
    return one


def _refused(who: Account, live: Live) -> bool:
    try:
        who.server.get(f"/api/jobs/{live.info.job}")
    except CvatError as error:
        return error.status == 403
    return False


def exactly(live: Live, monkeypatch) -> None:
    monkeypatch.setattr(command, "FunctionTracking", lambda _, *about: FunctionTracking(Exact(live), *about))


def tracked(live: Live, who: Account, *more: str) -> tuple[int, str]:
    line = ["cvat", "track", "--host", ADDRESS, "--job", str(live.info.job), "--user", who.login[0]]
    line += ["--model", "function", "--state", str(live.folder / who.login[0]), *more]
    result = CliRunner().invoke(app, line, env={"PASS": SECRET})
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("read_only", [True, False])
def test_a_token_that_may_only_read_ends_in_a_sentence_and_writes_nothing(job, accounts, live_server, read_only):
    one = accounts[0]
    assigned(live_server, job, one)
    job.draw("mask", 1, 0)
    before = job.items()
    try:
        token = one.server.call(
            "/api/auth/access_tokens", {"name": "agss", "expiry_date": None, "read_only": read_only}
        )
    except CvatError as error:
        pytest.skip(f"this CVAT has no access tokens: {error}")
    line = ["cvat", "track", "--host", ADDRESS, "--job", str(job.info.job), "--model", "function"]
    result = CliRunner().invoke(
        app, [*line, "--state", str(job.folder / "token")], env={"CVAT_ACCESS_TOKEN": token["value"]}
    )
    said = " ".join(result.output.split())
    assert result.exit_code == (2 if read_only else 0), said
    assert not read_only or "that is not read-only" in said
    assert (job.items() == before) is read_only


def assigned(server: Server, live: Live, who: Account) -> None:
    server.patch(f"/api/jobs/{live.info.job}", {"assignee": who.number})


def test_only_those_to_whom_the_job_is_assigned_can_track_it(job, live_server, accounts):
    one, other = accounts
    job.draw("mask", 1, 0)
    assigned(live_server, job, one)
    before = job.items()
    code, said = tracked(job, other)
    assert code == 2
    assert "403" in said
    assert job.items() == before
    code, said = tracked(job, one)
    assert code == 0, said
    assert "may not read the other jobs of the task" in said
    assert all(job.find(1, frame) for frame in range(FRAMES))
    assert "nothing had to be changed" in tracked(job, one)[1]


@pytest.mark.parametrize(
    ("role", "assign", "works"), [("worker", True, True), ("worker", False, False), ("maintainer", False, True)]
)
def test_in_an_organization_roles_decide(
    job, live_server, live_client, accounts, tmp_path, monkeypatch, role, assign, works
):
    one = accounts[0]
    slug = f"agss{uuid.uuid4().hex[:8]}"
    organization = live_server.call("/api/organizations", {"slug": slug})["id"]
    try:
        email = f"{one.login[0]}@example.org"
        live_server.call(
            f"/api/invitations?org={slug}", {"role": role, "email": email}
        )  # accepted, without a mail server
        with live_client.organization_context(slug):
            task = make_task(live_client, tmp_path)
        live = Live(live_server, next(jobs_of(live_server, task)), tmp_path)
        exactly(live, monkeypatch)
        live.draw("mask", 1, 0)
        if assign:
            assigned(live_server, live, one)
        code, said = tracked(live, one, "--org", slug)
        assert (code == 0) is works, said
        assert works or "403" in said
    finally:
        live_client.api_client.organizations_api.destroy(organization)
