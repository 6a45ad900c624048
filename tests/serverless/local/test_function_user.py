"""The function runs as nobody in particular and keeps nothing: no home, no name, no file written outside of /tmp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from function_client import Clip, picture

ROOT = Path(__file__).resolve().parents[3]
WATCHED = """
import json, os, sys, tempfile

changed = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CALLS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
BY_NAME = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & WRITING:
        changed.append(os.fsdecode(arguments[0]))
    elif event in CALLS:
        changed.append(event)
    elif event in BY_NAME:
        changed.append(os.fsdecode(arguments[0]))

sys.addaudithook(watch)

import nuclio_sdk
from serverless import main

context = nuclio_sdk.Context(nuclio_sdk.Logger(20), worker_id="0")
main.init_context(context)
with open(sys.argv[1]) as file:
    message = json.load(file)
for step in range(2):
    response = main.handler(context, nuclio_sdk.Event(body=message, _id=str(step)))
    assert response.status_code == 200, response.body
    message = {"image": message["image"], "shapes": [None], "states": json.loads(response.body)["states"]}
elsewhere = [name for name in changed if name != os.devnull and not name.startswith(tempfile.gettempdir() + os.sep)]
print(json.dumps(elsewhere))
"""


@pytest.fixture
def request_file(tmp_path):
    clip = Clip(1)
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []}))
    return path


@pytest.mark.slow
def test_a_function_calls_nobody_and_writes_nothing_outside_of_the_temporary_folder(request_file, tmp_path):
    """So its image can be read-only; HOME points to nowhere, as for a user without an entry in /etc/passwd."""
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path / "nowhere")}
    environment["TMPDIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, request_file],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert not (tmp_path / "nowhere").exists()
