"""The local server behaves as Nuclio's processor does, with real processes and a real port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from function_client import Clip, picture
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import ConfigError
from serverless.local import connection
from serverless.local import smoke as smoking
from serverless.local.function_file import read_function_file
from serverless.local.pool import Pool
from serverless.local.server import ByteBudget, LocalServer
from serverless.local.smoke import smoke

FILE = """
metadata: {{name: odd, namespace: cvat, annotations: {{type: tracker, spec: , version: "1"}}}}
spec:
  description: odd
  handler: {handler}
  eventTimeout: {timeout}
  readinessTimeoutSeconds: 120
  env: [{{name: ODD, value: "{odd}"}}]
  triggers:
    http:
      kind: http
      numWorkers: {workers}
      workerAvailabilityTimeoutMilliseconds: {wait}
      attributes: {{maxRequestBodySize: {limit}}}
"""
DEFAULTS = {
    "handler": "odd_handler:handler", "timeout": "60s", "odd": "file", "workers": 1, "wait": 60_000, "limit": 1000,
}  # fmt: skip


class Served:
    """A running server."""

    def __init__(self, folder, environment=None, **values):
        path = folder / "function.yaml"
        path.write_text(FILE.format(**{**DEFAULTS, **values}))
        self.lines = []
        self.pool = Pool(read_function_file(path), environment or {}, self.lines.append)
        self.pool.start()
        self.server = LocalServer(("127.0.0.1", 0), self.pool.function, self.pool)
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return "127.0.0.1", self.server.port

    def close(self):
        self.server.stop()
        self.thread.join(20)
        self.pool.close()

    def ask(self, path="/", body=b"{}", method="POST", headers=None):
        """Status, text and headers."""
        connection = http.client.HTTPConnection(*self.address, timeout=120)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, reply.read().decode(errors="replace"), {n.title(): v for n, v in reply.getheaders()}
        finally:
            connection.close()

    def about(self, *args, **options):
        status, text, _ = self.ask(*args, **options)
        assert status == 200, text
        return json.loads(text)


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(environment=None, **values):
        started.append(Served(tmp_path, environment, **values))
        return started[-1]

    yield start
    for served in started:
        served.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("two"), {"ODD": "given"}, workers=2)
    yield served
    served.close()


def eventually(check, seconds=100):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_workers_take_turns(two):
    assert [two.about()["worker"] for _ in range(4)] in (list("0101"), list("1010"))


def test_every_method_and_path_reaches_the_handler_except_health(two):
    assert two.about("/some/where", method="PUT")["method"] == "PUT"
    assert two.about("/", method="GET", body=None)["method"] == "GET"
    calls = sum(two.about()["calls"] for _ in range(2))
    assert two.ask("/__internal/health", method="GET", body=None)[0] == 200
    assert two.ask("/__internal/healthz/ready", method="GET", body=None)[0] == 200
    assert sum(two.about()["calls"] for _ in range(2)) == calls + 2


def test_bodies_arrive_as_nuclio_delivers_them(two):
    assert two.about()["body_type"] == "dict"
    assert two.about(body=b"{")["body_type"] == "bytes"
    assert two.about(headers={"Content-Type": "application/json; charset=utf-8"})["body_type"] == "bytes"


def test_statuses_headers_and_bytes_of_a_response_arrive(two):
    status, text, headers = two.ask("/teapot")
    assert (status, text, headers["X-A"], headers["Content-Type"]) == (418, "short", "b", "text/plain")
    assert "X-N" not in headers
    status, _, headers = two.ask("/bytes")
    assert (status, headers["Content-Length"]) == (200, "2")


def test_a_body_at_the_limit_passes_and_one_byte_more_is_400(two):
    assert two.about(body=b"x" * 1000)["size"] == 1000
    status, text, headers = two.ask(body=b"x" * 1001)
    assert (status, text) == (400, "Error when parsing request")
    assert headers["Connection"] == "close"


@pytest.fixture
def little_room(two):
    budget = two.server.application.budget
    two.server.application.budget = ByteBudget(1000)
    yield two.server.application
    two.server.application.budget = budget


def test_bodies_that_do_not_fit_together_are_503_until_there_is_room_again(two, little_room):
    with socket.create_connection(two.address) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 901\r\n\r\n" + b"{" * 900)
        eventually(lambda: little_room.budget.free == 100)
        assert two.ask(body=b"x" * 500)[0] == 503
        assert two.ask(body=b"x" * 90)[0] == 200
    eventually(lambda: little_room.budget.free == 1000)
    assert two.ask(body=b"x" * 500)[0] == 200


def test_room_is_taken_by_what_arrives_and_not_by_what_is_announced(two, little_room):
    slow = [socket.create_connection(two.address) for _ in range(20)]
    for one in slow:
        one.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
    eventually(lambda: little_room.budget.free == 980)
    assert two.ask(body=b"x" * 900)[0] == 200
    for one in slow:
        one.close()
    eventually(lambda: little_room.budget.free == 1000)


def exchange(address, data, seconds=10):
    """All that comes back until the server hangs up."""
    with socket.create_connection(address, timeout=seconds) as client:
        client.sendall(data)
        reply = b""
        while piece := client.recv(65536):
            reply += piece
    return reply


@pytest.mark.parametrize("count", [1, 2])
def test_a_client_that_has_said_all_gets_its_answers_and_then_the_end(two, count):
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_connection(two.address, timeout=60) as client:
        client.sendall(count * request)
        client.shutdown(socket.SHUT_WR)
        reply = b""
        while piece := client.recv(65536):
            reply += piece
    assert reply.count(b"HTTP/1.1 200 ") == count, reply


def test_a_client_that_has_said_half_gets_the_end(two):
    with socket.create_connection(two.address, timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert not client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_drips_is_cut_after_a_while(two, monkeypatch):
    monkeypatch.setattr("serverless.local.server.READ_SECONDS", 0.5)
    began = time.monotonic()
    reply = exchange(two.address, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{")
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5


def test_headers_that_do_not_end_are_cut_after_a_while(two, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.5)
    with socket.create_connection(two.address, timeout=10) as slow:
        for _ in range(100):
            try:
                slow.sendall(b"POST / HTTP/1.1\r\nX-A: b\r\n")
                time.sleep(0.05)
            except OSError:
                break
        else:
            pytest.fail("nobody hung up")


def test_an_answer_that_nobody_takes_is_cut_after_a_while(two, monkeypatch):
    monkeypatch.setattr(connection, "READ_SECONDS", 0.5)
    with socket.create_connection(two.address, timeout=10) as slow:
        slow.sendall(b"GET /__internal/health HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert slow.recv(1000) == b""


def test_connections_are_bounded_and_others_are_told_so(two, monkeypatch):
    eventually(lambda: not two.server._server.server_state.connections)
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    idle = [socket.create_connection(two.address) for _ in range(3)]
    eventually(lambda: len(two.server._server.server_state.connections) == 3)
    assert exchange(two.address, b"").startswith(b"HTTP/1.1 503 ")
    idle.pop().close()
    eventually(lambda: len(two.server._server.server_state.connections) < 3)
    assert two.ask()[0] == 200
    for one in idle:
        one.close()


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length : 2\r\n",
        b"X-A\r\n",
        b"X A: b\r\n",
        b"X-A: b\x00c\r\n",
    ],
)
def test_requests_that_two_servers_could_read_in_two_ways_are_refused_and_the_connection_closed(two, headers):
    calls = sum(two.about()["calls"] for _ in range(2))
    smuggled = b"0\r\n\r\nPOST /teapot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    reply = exchange(two.address, b"POST / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n" + smuggled)
    assert reply.split()[1] in (b"400", b"411", b"501"), reply
    assert reply.count(b"HTTP/1.1") == 1
    assert sum(two.about()["calls"] for _ in range(2)) == calls + 2


@pytest.mark.parametrize("path", [b"/__internal/health", b"/api/functions"])
def test_a_body_where_none_is_read_is_not_taken_for_the_next_request(two, path):
    hidden = b"POST /teapot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    length = str(len(hidden)).encode()
    first = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + b"\r\n\r\n" + hidden
    last = b"GET /__internal/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    reply = exchange(two.address, first + last)
    assert reply.count(b"HTTP/1.1 200 ") == reply.count(b"HTTP/1.1 ") == 2, reply


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_end_answers_first(serve, number):
    """Service managers tell every process of a group; the server is the one that ends its workers."""
    served = serve()
    pid = served.about()["pid"]
    found = []
    asking = threading.Thread(target=lambda: found.append(served.about("/sleep/1")))
    asking.start()
    eventually(lambda: served.pool._free.empty())
    os.kill(pid, number)
    asking.join(60)
    assert [about["pid"] for about in found] == [pid]
    assert served.about()["pid"] == pid
    served.pool.close()
    assert not served.pool.workers[0].alive


def test_at_the_end_requests_in_flight_are_answered_and_new_ones_refused(serve):
    served, answers = serve(), []
    flying = threading.Thread(target=lambda: answers.append(served.ask("/sleep/2")[0]))
    flying.start()
    eventually(lambda: served.pool._free.empty())
    served.server.stop()
    eventually(lambda: not _listens(served.address))
    flying.join()
    served.thread.join(10)
    assert answers == [200]
    assert not served.thread.is_alive()


def test_a_client_that_is_slow_does_not_delay_the_end_beyond_the_event_timeout(serve):
    served = serve(timeout="1s")
    with socket.create_connection(served.address) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{")
        eventually(lambda: served.server._server.server_state.tasks)
        served.server.stop()
        served.thread.join(5)
    assert not served.thread.is_alive()


def _listens(address):
    try:
        socket.create_connection(address).close()
    except OSError:
        return False
    return True


def test_the_port_is_taken_before_workers_start(monkeypatch):
    monkeypatch.setattr(Pool, "start", lambda self: pytest.fail("workers were started"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = CliRunner().invoke(app, ["serve", "--port", str(other.getsockname()[1])])
    assert found.exit_code == 2
    assert "choose another --port" in found.output


def test_json_of_too_many_values_is_413_before_a_worker_parses_it(two, monkeypatch):
    monkeypatch.setattr("serverless.local.server.MAX_VALUES", 50)
    assert two.ask(body=b"[" + b"{}," * 50 + b"{}]")[0] == 413
    assert two.ask(body=b"[" + b"1," * 40 + b"1]")[0] == 200


def test_long_headers_are_431(two):
    assert two.ask(headers={"X-Long": "x" * 17_000})[0] == 431


def test_a_body_without_its_length_is_refused(two):
    status, _, _ = two.ask(body=iter([b"{}"]), headers={"Transfer-Encoding": "chunked"})
    assert status == 411


def test_a_handler_that_raises_is_500_and_the_worker_lives_on(two):
    before = {two.about()["pid"] for _ in range(2)}
    status, text, _ = two.ask("/raise")
    assert status == 500
    assert "raised on purpose" in text
    assert {two.about()["pid"] for _ in range(2)} == before


def test_variables_given_beat_those_of_the_file(two):
    assert two.about()["odd"] == "given"


def test_a_client_that_hangs_up_harms_nobody(two):
    with socket.create_connection(two.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhalf")
    assert two.about()["method"] == "POST"


@pytest.mark.parametrize("length", ["-1", "1e3", "+5", "9" * 16, "9" * 5000, ""])
def test_a_length_that_is_none_is_refused(two, length):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length.encode() + b"\r\n\r\n{}"
    assert exchange(two.address, head).startswith(b"HTTP/1.1 400 ")


def test_cvat_finds_the_function_as_in_nuclios_dashboard(two):
    functions = two.about("/api/functions", method="GET", body=None)
    assert functions["odd"] == two.about("/api/functions/odd", method="GET", body=None)
    assert functions["odd"]["status"]["httpPort"] == two.server.port
    assert functions["odd"]["metadata"]["annotations"] == {"type": "tracker", "spec": "", "version": "1"}
    assert functions["odd"]["spec"]["description"] == "odd"
    assert two.ask("/api/functions/other", method="GET", body=None)[0] == 404


def test_no_free_worker_in_time_is_503(serve):
    served = serve(wait=200)
    busy = threading.Thread(target=served.ask, args=("/sleep/3",))
    busy.start()
    time.sleep(1)
    assert served.ask()[:2] == (503, "")
    busy.join()
    assert served.about()["calls"] == 2


def test_a_request_that_takes_too_long_is_408_and_its_worker_is_replaced(serve):
    served = serve(timeout="1s")
    before = served.about()["pid"]
    status, text, _ = served.ask("/sleep/60")
    assert (status, json.loads(text)) == (408, {"error": "handler timed out"})
    after = served.about()  # waits for the new worker
    assert after["pid"] != before
    assert after["calls"] == 1
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert "took longer than 1.0 s" in served.lines[0]


def test_a_worker_that_dies_in_a_request_is_500_and_is_replaced(serve):
    served = serve()
    before = served.about()["pid"]
    status, text, _ = served.ask("/exit")
    assert status == 500
    assert "ended" in text
    assert served.about()["pid"] != before


def test_a_worker_killed_between_requests_is_replaced_before_the_next(serve):
    served = serve()
    before = served.about()["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: not served.pool.workers[0].alive)  # the signal takes a moment on a busy machine
    assert served.about()["pid"] != before
    eventually(lambda: served.ask("/__internal/health", method="GET", body=None)[0] == 200)


def test_a_worker_that_cannot_start_stops_the_server_with_its_reason(serve):
    with pytest.raises(ConfigError, match="this worker cannot start"):
        serve(environment={"ODD": "broken"})
    with pytest.raises(ConfigError, match="no_such_module"):
        serve(handler="no_such_module:handler")


def test_a_gpu_that_was_asked_for_and_is_absent_stops_the_function(serve):
    with pytest.raises(ConfigError, match="cuda:9"):
        serve(handler="serverless.main:handler", environment={"AGSS_DEVICE": "cuda:9"})


@pytest.mark.slow
def test_tracking_survives_kill_9_in_the_middle_with_the_same_masks(serve):
    """The command as people start it; a client that goes on with the last states it got."""
    served = serve(handler="serverless.main:handler", limit=50_000_000, environment={"AGSS_THREADS": "1"})
    clip = Clip(3)

    def follow(t, states):
        body = {"image": picture(clip.frame(t)), "shapes": [None] * len(states), "states": states}
        return served.ask(body=json.dumps(body).encode())

    body = {"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []}
    start = json.loads(served.ask(body=json.dumps(body).encode())[1])["states"]
    expected, states = [], start
    for t in range(1, 9):
        reply = json.loads(follow(t, states)[1])
        expected.append(reply["shapes"])
        states = reply["states"]
    found, states = [], start
    for t in range(1, 9):
        if t == 3:
            os.kill(served.pool.workers[0].pid, signal.SIGKILL)
        if t == 6:
            late = threading.Timer(0.02, os.kill, (served.pool.workers[0].pid, signal.SIGKILL))
            late.start()
        status, text, _ = follow(t, states)
        if status == 500:  # killed while it worked
            status, text, _ = follow(t, states)
        assert status == 200, text
        found.append(json.loads(text)["shapes"])
        states = json.loads(text)["states"]
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_commands_serve_and_smoke_work_together(ending):
    agss = Path(sys.executable).with_name("agss")
    command = [agss, "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://\S+", process.stdout.readline())[0]
            done = subprocess.run([agss, "smoke", url], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "ok      rectangle 3 is found" in done.stdout
            assert "FAILED" not in done.stdout
        finally:
            process.send_signal(ending)
            process.wait(60)
    with pytest.raises(ConfigError, match="does not answer"):
        smoke(url)


def test_smoke_fails_where_something_else_answers(two):
    found = smoke(f"http://127.0.0.1:{two.server.port}")
    assert found.failed == [next(line for line in found.failed if "can be started" in line)]


@pytest.mark.parametrize("status", [200, 500])
def test_smoke_takes_no_answer_without_an_end(monkeypatch, status):
    over = threading.Event()

    class Endless(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not over.wait(0.01):
                    self.wfile.write(b" " * self.server.size)

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            monkeypatch.setattr(smoking, "MOST_BYTES", 1 << 20)
            server.size = 1 << 18
            with pytest.raises(ConfigError, match="more than 1 MiB"):
                smoke(url)
            monkeypatch.setattr(smoking, "PATIENCE", 0.5)
            server.size = 1
            with pytest.raises(ConfigError, match=r"not ended after|does not answer"):
                smoke(url)
        finally:
            over.set()
            server.shutdown()


def test_smoke_wants_a_url():
    with pytest.raises(ConfigError, match="not a URL"):
        smoke("file:///etc/passwd")
