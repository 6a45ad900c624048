"""A handler for tests of the local server; what it does is in the path."""

from __future__ import annotations

import json
import os
import time


def init_context(context):
    if os.environ.get("ODD") == "broken":
        raise RuntimeError("this worker cannot start")
    context.user_data.calls = 0


def handler(context, event):
    context.user_data.calls += 1
    about = {
        "pid": os.getpid(), "worker": context.worker_id, "calls": context.user_data.calls, "method": event.method,
        "body_type": type(event.body).__name__, "size": event.size, "odd": os.environ.get("ODD"),
        "content_type": event.content_type,
    }  # fmt: skip
    if event.path.startswith("/sleep"):
        time.sleep(float(event.path.rsplit("/", 1)[-1]))
    elif event.path == "/exit":
        os._exit(3)
    elif event.path == "/raise":
        raise ValueError("raised on purpose")
    elif event.path == "/teapot":
        headers = {"X-A": "b", "X-N": 1}
        return context.Response(body="short", content_type="text/plain", status_code=418, headers=headers)
    elif event.path == "/bytes":
        return context.Response(body=b"\x00\xff", content_type="application/octet-stream", status_code=200)
    return context.Response(body=json.dumps(about), content_type="application/json", status_code=200)
