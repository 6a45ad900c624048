"""The files that put the button into CVAT: the nginx rule served by a real nginx, and the compose override."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from button_server import SCRIPT

FOLDER = SCRIPT.parent
RULE = FOLDER / "agss-vos.conf"

# Like the server block of CVAT's own UI image: everything unknown is the page, and the page is not cached.
SERVER = """
{user}
worker_processes 1; daemon off; pid {tmp}/pid; error_log {tmp}/error.log;
events {{ worker_connections 64; }}
http {{
    types {{ text/html html; application/javascript js; }}
    access_log off; client_body_temp_path {tmp}/a; proxy_temp_path {tmp}/b; fastcgi_temp_path {tmp}/c;
    uwsgi_temp_path {tmp}/d; scgi_temp_path {tmp}/e;
    gzip on; gzip_types application/javascript;
    include {rule};
    server {{
        listen 127.0.0.1:{port}; root {tmp}/html;
        location / {{ add_header Cache-Control "no-cache"; try_files $uri /index.html; }}
    }}
}}
"""


def fetch(url: str):
    return urllib.request.urlopen(url)  # noqa: S310 - of a server that this test has started


@pytest.fixture
def site(tmp_path: Path):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if nginx is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    html = tmp_path / "html"
    html.mkdir()
    (html / "index.html").write_text("<!doctype html><html><head></head><body><div id=root></div></body></html>")
    shutil.copy(SCRIPT, html)
    # Workers of a server started by root would run as somebody who may not enter the folder of this test.
    user = "user root;" if os.geteuid() == 0 else ""
    config = tmp_path / "nginx.conf"
    config.write_text(SERVER.format(tmp=tmp_path, rule=RULE, port=port, user=user))
    subprocess.run([nginx, "-t", "-q", "-c", config], check=True, capture_output=True)
    process = subprocess.Popen([nginx, "-c", config])
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            fetch(url)
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)


def test_nginx_adds_the_script_to_every_page_and_serves_it(site):
    tag = b'<script src="/agss-vos.js" defer></script></body>'
    for path in ("/", "/tasks/3/jobs/11"):
        body = fetch(site + path).read()
        assert body.count(tag) == 1, path
    reply = fetch(site + "/agss-vos.js")
    assert reply.headers["Content-Type"] == "application/javascript"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert reply.read() == SCRIPT.read_bytes()


def test_the_compose_override_mounts_files_that_exist_where_cvat_serves_them():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    override = yaml.safe_load((FOLDER / "docker-compose.agss-vos.yml").read_text())
    assert list(override) == ["services"]
    assert list(override["services"]) == ["cvat_ui"]
    assert list(override["services"]["cvat_ui"]) == ["volumes"]
    mounts = [volume.replace("${AGSS_VOS_UI:?", "").split("}") for volume in override["services"]["cvat_ui"]["volumes"]]
    targets = {rest.split(":")[0].lstrip("/"): rest.split(":")[1:] for _, rest in mounts}
    assert targets == {
        "agss-vos.conf": ["/etc/nginx/conf.d/agss-vos.conf", "ro"],
        "agss-vos.js": ["/usr/share/nginx/html/agss-vos.js", "ro"],
    }
    assert all((FOLDER / name).is_file() for name in targets)
    # The nginx of CVAT's container is not root.
    assert all((FOLDER / name).stat().st_mode & 0o004 for name in targets)
