"""Signing in, and where secrets may go."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import numpy as np
import pytest
from fake_cvat import TOKEN, USER, FakeCvat, Refused
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.cvat.server import client as cvat_server
from agss_model.cvat.server.address import full_address
from agss_model.cvat.server.client import CvatError, connect, read_token
from agss_model.errors import ConfigError


@pytest.fixture
def cvat():
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as server:
        yield server


@pytest.fixture
def elsewhere():
    """A host that writes down whatever reaches it."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def _note(self):
            seen.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PATCH = _note

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.seen = seen
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def redirecting(elsewhere):
    """Answers the version itself and sends everything else away, as a captured or misconfigured host would."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here = self.path.startswith("/api/server/about")
            self.send_response(200 if here else self.server.status)
            body = b'{"version": "2.73.1"}' if here else b""
            if not here:
                self.send_header("Location", f"http://127.0.0.1:{elsewhere.server_address[1]}{self.path}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.status = 302
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("how", ["token", "login"])
def test_nothing_is_sent_to_the_target_of_a_redirect(redirecting, elsewhere, status, how):
    redirecting.status = status
    secret = {"token": TOKEN} if how == "token" else {"login": USER}
    with pytest.raises(CvatError) as caught:
        connect(redirecting.url, **secret).get("/api/jobs/1")
    assert f"127.0.0.1:{elsewhere.server_address[1]}" in str(caught.value)
    assert "--host" in str(caught.value)
    assert elsewhere.seen == []
    assert TOKEN not in str(caught.value)
    assert USER[1] not in str(caught.value)


def test_every_kind_of_request_refuses_redirects(redirecting, elsewhere):
    server = connect(redirecting.url, token=TOKEN)
    for send in (
        lambda: server.get("/api/jobs/1"),
        lambda: server.frame(1, 0),
        lambda: server.patch("/api/jobs/1/annotations", {"shapes": []}, action="create"),
        lambda: server.call("/api/lambda/functions/x", {"shapes": []}),
    ):
        with pytest.raises(CvatError, match="redirects"):
            send()
    assert elsewhere.seen == []


def test_the_token_travels_in_one_header_only(cvat):
    connect(cvat.url, token=TOKEN).get("/api/jobs/1")
    about, job = cvat.sent
    assert "Authorization" not in about
    assert job["Authorization"] == f"Bearer {TOKEN}"
    assert [path for _, path in cvat.requests] == ["/api/server/about", "/api/jobs/1"]


def test_user_and_password(cvat):
    server = connect(cvat.url, login=USER)
    assert server.get("/api/jobs/1")["id"] == 1
    server.patch("/api/jobs/1/annotations", {"shapes": []}, action="create")  # needs the CSRF header
    assert all(USER[1] not in str(headers) for headers in cvat.sent)
    with pytest.raises(CvatError, match="does not accept this user and password"):
        connect(cvat.url, login=("annotator", "wrong"))


def test_organization(cvat):
    connect(cvat.url, token=TOKEN, org="team").get("/api/jobs/1")
    assert cvat.sent[-1]["X-Organization"] == "team"


def command(cvat, *arguments, **more):
    return CliRunner().invoke(app, ["cvat", "track", "--host", cvat.url, "--job", "1", *arguments], **more)


def test_token_from_file_and_never_in_output_or_log(cvat, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CVAT_ACCESS_TOKEN", raising=False)
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    result = command(cvat, "--token-file", str(file), "--debug")
    assert "no mask, polygon or box" in " ".join(result.output.split())  # it got that far
    cvat.fail("GET", "jobs", times=99, status=500)
    failed = command(cvat, "--token-file", str(file), "--debug")
    assert failed.exit_code == 2
    state = "".join(path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file())
    for text in (result.output, failed.output, caplog.text, state):
        assert TOKEN not in text


def test_without_a_sign_in_nothing_is_asked(cvat, monkeypatch):
    monkeypatch.delenv("CVAT_ACCESS_TOKEN", raising=False)
    result = command(cvat)
    assert result.exit_code == 2
    assert "needs a sign-in" in result.output
    assert cvat.requests == []
    monkeypatch.delenv("PASS", raising=False)
    assert "put it into $PASS" in command(cvat, "--user", "annotator").output
    monkeypatch.setenv("PASS", "wrong")
    result = command(cvat, "--user", "annotator")
    assert "does not accept this user" in " ".join(result.output.split())
    assert "wrong" not in result.output


@pytest.mark.parametrize("content", [None, "", "two words\n", b"\xff\xfe"])
def test_token_files_that_are_none(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match="--token-file"):
        read_token(file)


def test_addresses(monkeypatch):
    with pytest.raises(ConfigError, match="--host"):
        connect("ftp://example.org", token=TOKEN)
    monkeypatch.setattr(cvat_server.time, "sleep", lambda seconds: None)
    with pytest.raises(CvatError, match="No answer"):
        connect("http://127.0.0.1:1", token=TOKEN)


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "null", "[]", "[" * 100_000, '"text"'])
def test_answers_that_are_none_of_cvats_are_sentences(body):
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:
        server = cvat_server.connect(cvat.url, token=TOKEN)
        cvat._job = lambda job: body
        cvat._route = lambda *_: body
        with pytest.raises(cvat_server.CvatError, match=r"not JSON|something else than CVAT does"):
            server.get("/api/jobs/1")


def test_a_token_that_is_sent_back_is_not_shown():
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:
        server = cvat_server.connect(cvat.url, token=TOKEN)

        def echo(*_):
            raise Refused(500, f"bad token {TOKEN} \x1b[31m")

        cvat._route = echo
        with pytest.raises(cvat_server.CvatError) as caught:
            server.get("/api/jobs/1")
    assert TOKEN not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "pages",
    [
        {"count": 2, "next": "http://x/?page=2", "results": [{"id": 1}]},  # without an end
        {"count": 10**9, "next": "http://x/?page=2", "results": []},
        {"count": 1, "next": None},
        {"count": 1, "next": None, "results": 5},
    ],
)
def test_lists_without_an_end_and_lists_that_are_none_are_sentences(pages):
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:
        server = cvat_server.connect(cvat.url, token=TOKEN)
        cvat._route = lambda *_: pages
        with pytest.raises(CvatError, match="not of CVAT's form"):
            server.pages("/api/labels", job_id=1)


@pytest.mark.parametrize("echo", [str, json.dumps, quote, lambda secret: f"<{secret}>"])
def test_a_password_that_is_sent_back_while_signing_in_is_not_shown(echo):
    secret = 'p"ss w\\rd/1'  # noqa: S105
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:

        def refuse(data):
            raise Refused(500, echo(data["password"]) + " \x1b[31m")

        cvat._login = refuse
        with pytest.raises(CvatError) as caught:
            connect(cvat.url, login=("annotator", secret))
    assert not any(form in str(caught.value) for form in (secret, json.dumps(secret)[1:-1], quote(secret), "\x1b"))


@pytest.mark.parametrize("answer", ["<html>Sign in</html>", "null", "[]", "[" * 10_000, {"key": {"a": 1}}])
def test_a_sign_in_that_is_answered_by_something_else_is_a_sentence_or_goes_on(answer):
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:
        cvat._login = lambda data: (200, answer, {})
        with contextlib.suppress(CvatError):
            connect(cvat.url, login=USER)


def test_a_password_in_the_address_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="--host holds a user or password") as caught:
        cvat_server.connect("http://me:secret@127.0.0.1:1", token=TOKEN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("cvat.localhost", "http://cvat.localhost"),
        ("https://localhost", "https://localhost"),
        ("cvat.example.org", "https://cvat.example.org"),
        ("localhost.example.org:80", "https://localhost.example.org:80"),
        ("10.0.0.7:8080", "https://10.0.0.7:8080"),
    ],
)
def test_without_a_scheme_only_this_machine_is_spoken_to_in_the_clear(written, meant):
    assert full_address(written) == meant


def test_a_server_on_this_machine_needs_no_scheme():
    with FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat:
        server = connect(cvat.url.removeprefix("http://"), token=TOKEN)
        assert server.host == cvat.url


def test_a_server_that_speaks_no_https_is_told_from_one_that_is_not_there(monkeypatch):
    monkeypatch.setattr(cvat_server.time, "sleep", lambda seconds: None)
    with (
        FakeCvat([np.zeros((8, 8, 3), np.uint8)]) as cvat,
        pytest.raises(CvatError, match=r"SSLError.*write http://127\.0\.0\.1:"),
    ):
        connect(cvat.url.replace("http://", "https://"), token=TOKEN)
