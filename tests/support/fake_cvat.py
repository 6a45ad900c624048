"""A CVAT server as far as `agss cvat` uses it: a real HTTP server that keeps CVAT's documented rules.

Sign-in by token or session, jobs with task-relative frames, frames as PNG, annotations that are hardly checked,
attributes that come back with defaults, tracker functions whose states are signed, and errors of functions reduced to
a status line.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import io
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from agss_model.masks import mask_to_shape, shape_to_mask

TOKEN = "token-for-tests"  # noqa: S105
USER = ("annotator", "secret word")
SOURCES = {"auto", "semi-auto", "manual", "file", "consensus"}
REASONS = {
    400: "400 Client Error: Bad Request for url: http://nuclio:8070",
    404: "404 Client Error: Not Found for url: http://nuclio:8070",
    500: "500 Server Error: Internal Server Error for url: http://nuclio:8070",
    503: "503 Server Error: Service Unavailable for url: http://nuclio:8070",
    504: "504 Server Error: Gateway Timeout for url: http://nuclio:8070",
}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: Any = "") -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


class Dropped(Exception):
    """The connection ends without an answer."""


@dataclass
class Job:
    number: int
    start: int
    stop: int
    deleted: set[int] = field(default_factory=set)
    shapes: list[dict] = field(default_factory=list)
    tracks: list[dict] = field(default_factory=list)
    extra: dict = field(default_factory=dict)


@dataclass
class Function:
    run: Any  # body -> reply; raises Refused
    kind: str = "tracker"
    types: tuple[str, ...] | None = ("mask", "polygon", "rectangle")  # None: a legacy function
    version: int = 1


class FakeCvat:
    """One task.

    Args:
        images: (H, W, 3) uint8 by frame.
        jobs: first and last frame of each job, which are numbered from 1.
        labels: as the API lists them, or names.
    """

    def __init__(self, images: list[np.ndarray], jobs: list[tuple[int, int]] | None = None, labels=("person", "car")):
        self.images = images
        self.jobs = {n: Job(n, *span) for n, span in enumerate(jobs or [(0, len(images) - 1)], 1)}
        self.labels = [
            {"id": n, "name": label, "type": "any", "attributes": []} if isinstance(label, str) else {"id": n, **label}
            for n, label in enumerate(labels, 1)
        ]
        self.functions: dict[str, Function] = {}
        self.version = "2.73.1"
        self.scores = True  # from 2.56 on; before, scores of shapes are dropped
        self.requests: list[tuple[str, str]] = []  # method and path with query
        self.sent: list[dict[str, str]] = []  # headers
        self.lambda_calls: list[dict] = []
        self.faults: list[Any] = []  # (method, path, done) -> None; `done` tells before from after
        self._ids, self._key, self._lock = 100, b"signing key", threading.RLock()

    # -- what tests do to the server ------------------------------------------------------------------------------

    def __enter__(self) -> FakeCvat:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def draw(self, job: int, kind: str, frame: int, points, **more) -> dict:
        """A person adds a shape."""
        shape = {"type": kind, "frame": frame, "points": [float(p) for p in points], "label_id": 1, "source": "manual"}
        return self._create(self.jobs[job], {"shapes": [{**shape, **more}]})["shapes"][0]

    def draw_track(self, job: int, kind: str, keys: dict[int, Any], **more) -> dict:
        """A person adds a track; None for outside."""
        shapes, last = [], None
        for frame, points in keys.items():
            last = points if points is not None else last
            shapes.append({"type": kind, "frame": frame, "points": [float(p) for p in last], "outside": points is None})
        track = {"frame": min(keys), "label_id": 1, "source": "manual", "shapes": shapes, **more}
        return self._create(self.jobs[job], {"tracks": [track]})["tracks"][0]

    def fail(self, method: str, pattern: str, times: int = 1, *, skip: int = 0, status: int | None = None, after=False):
        """Answer with a status, or (None) drop the connection, before or after the request was carried out."""
        left = [skip, times]

        def fault(asked: str, path: str, done: bool) -> None:
            if asked != method or not re.search(pattern, path) or done is not after:
                return
            if left[0] > 0:
                left[0] -= 1
            elif left[1] > 0:
                left[1] -= 1
                raise Dropped if status is None else Refused(status, "injected")

        self.faults.append(fault)

    # -- the API ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers, body: bytes) -> tuple[int, Any, dict[str, str]]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        data = json.loads(body) if body else {}
        with self._lock:
            self.requests.append((method, target))
            self.sent.append(dict(headers))
            if url.path == "/api/server/about":
                return 200, {"name": "CVAT", "version": self.version, "description": ""}, {}
            if url.path == "/api/auth/login":
                return self._login(data)
            self._check_signed_in(method, headers)
            self._inject(method, target, False)
            reply = self._route(method, url.path, query, data)
            self._inject(method, target, True)
            return 200, reply, {}

    def _inject(self, method: str, target: str, done: bool) -> None:
        for fault in self.faults:
            fault(method, target, done)

    def _login(self, data: dict) -> tuple[int, Any, dict[str, str]]:
        if (data.get("username"), data.get("password")) != USER:
            raise Refused(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
        return (
            200,
            {"key": "k"},
            {"Set-Cookie": "sessionid=session-for-tests; Path=/, csrftoken=csrf-for-tests; Path=/"},
        )

    def _check_signed_in(self, method: str, headers) -> None:
        if headers.get("Authorization") == f"Bearer {TOKEN}":
            return
        if "sessionid=session-for-tests" not in headers.get("Cookie", ""):
            raise Refused(401, {"detail": "Authentication credentials were not provided."})
        if method != "GET" and headers.get("X-CSRFToken") != "csrf-for-tests":
            raise Refused(403, {"detail": "CSRF Failed: CSRF token missing."})

    def _route(self, method: str, path: str, query: dict, data: dict) -> Any:
        routes = {
            r"GET /api/jobs/(\d+)": lambda n: self._job(self._find(n)),
            r"GET /api/jobs/(\d+)/data/meta": lambda n: self._meta(self._find(n)),
            r"GET /api/jobs/(\d+)/data": lambda n: self._frame(self._find(n), query),
            r"GET /api/jobs/(\d+)/annotations": lambda n: self._annotations([self._find(n)]),
            r"PATCH /api/jobs/(\d+)/annotations": lambda n: self._patch(self._find(n), query["action"], data),
            r"GET /api/tasks/7/annotations": lambda: self._annotations(list(self.jobs.values())),
            r"GET /api/labels": lambda: self._labels(int(query.get("page", 1))),
            r"GET /api/lambda/functions/([\w-]+)": lambda name: self._about(name),
            r"POST /api/lambda/functions/([\w-]+)": lambda name: self._call(name, data),
        }
        for pattern, run in routes.items():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return run(*match.groups())
        raise Refused(404, {"detail": "Not found."})

    def _find(self, number: str) -> Job:
        if int(number) not in self.jobs:
            raise Refused(404, {"detail": "No Job matches the given query."})
        return self.jobs[int(number)]

    def _job(self, job: Job) -> dict:
        return {
            "id": job.number, "task_id": 7, "project_id": None, "dimension": "2d", "mode": "interpolation",
            "type": "annotation", "start_frame": job.start, "stop_frame": job.stop,
            "frame_count": job.stop - job.start + 1,
            "status": "annotation", "stage": "annotation", "state": "new", "organization": None, **job.extra,
        }  # fmt: skip

    def _meta(self, job: Job) -> dict:
        height, width = self.images[0].shape[:2]
        size = {"width": width, "height": height, "name": "clip.mp4", "related_files": 0, "has_related_context": False}
        return {
            "chunk_size": 36, "size": job.stop - job.start + 1, "image_quality": 70, "start_frame": 0,
            "stop_frame": len(self.images) - 1, "frame_filter": "", "frames": [size],
            "deleted_frames": sorted(job.deleted), "included_frames": None,
        }  # fmt: skip

    def _frame(self, job: Job, query: dict) -> bytes:
        number = int(query["number"])
        if query.get("type") != "frame" or not job.start <= number <= job.stop:
            raise Refused(400, "The frame number does not belong to the job")
        if query.get("quality") != "original":
            raise Refused(400, "only full quality is served here")
        return png(self.images[number])

    def _labels(self, page: int) -> dict:
        """Two on a page, so that a client that reads one page only is found out."""
        part = self.labels[2 * page - 2 : 2 * page]
        more = f"{self.url}/api/labels?page={page + 1}" if 2 * page < len(self.labels) else None
        return {"count": len(self.labels), "next": more, "previous": None, "results": part}

    def _annotations(self, jobs: list[Job]) -> dict:
        shapes = [shape for job in jobs for shape in job.shapes]
        tracks = [track for job in jobs for track in job.tracks]
        return copy.deepcopy({"version": 0, "tags": [], "shapes": shapes, "tracks": tracks})

    # -- annotations --------------------------------------------------------------------------------------------------

    def _patch(self, job: Job, action: str, data: dict) -> dict:
        if action == "create":
            return self._create(job, data)
        if action not in ("delete", "update"):
            raise Refused(400, f"action {action!r} is not expected here")
        # An update is a deletion and a creation in one transaction, and so it gives new numbers.
        made = self._create(job, data) if action == "update" else data
        shapes, tracks = ({item["id"] for item in data.get(kind, ())} for kind in ("shapes", "tracks"))
        job.shapes = [shape for shape in job.shapes if shape["id"] not in shapes]
        job.tracks = [track for track in job.tracks if track["id"] not in tracks]
        return made

    def _create(self, job: Job, data: dict) -> dict:
        shapes = [self._shape(shape) for shape in data.get("shapes", ())]
        tracks = [self._track(track) for track in data.get("tracks", ())]
        job.shapes.extend(shapes)  # all or nothing, as in a transaction
        job.tracks.extend(tracks)
        return copy.deepcopy({"version": 0, "tags": [], "shapes": shapes, "tracks": tracks})

    def _shape(self, shape: dict) -> dict:
        label = shape["label_id"]
        common = self._common(shape)
        score = float(shape.get("score", 1))
        if not 0 <= score <= 1:
            raise Refused(400, "score is not allowed")
        kept = {"score": score} if self.scores else {}
        return {**self._form(shape, label, None), **common, **kept, "elements": []}

    def _form(self, shape: dict, label: int, mutable: bool | None) -> dict:
        kind, points = shape["type"], [float(p) for p in shape["points"]]
        enough = {"mask": 5, "polygon": 6, "rectangle": 4, "ellipse": 4, "points": 2, "polyline": 4}[kind]
        if len(points) < enough or (kind == "polygon" and len(points) % 2):
            raise Refused(400, f"Invalid points of {kind}")
        return {
            "id": self._next(), "type": kind, "frame": int(shape["frame"]), "points": points,
            "occluded": bool(shape.get("occluded")), "outside": bool(shape.get("outside")),
            "z_order": int(shape.get("z_order", 0)), "rotation": float(shape.get("rotation", 0)),
            "attributes": self._attributes(label, shape.get("attributes", ()), mutable),
        }  # fmt: skip

    def _track(self, track: dict) -> dict:
        return {
            "id": self._next(), "frame": int(track["frame"]), **self._common(track),
            "shapes": [self._form(shape, track["label_id"], True) for shape in track["shapes"]],
            "attributes": self._attributes(track["label_id"], track.get("attributes", ()), False), "elements": [],
        }  # fmt: skip

    def _common(self, item: dict) -> dict:
        if item["label_id"] not in {label["id"] for label in self.labels}:
            raise Refused(400, f"label_id {item['label_id']!r} is invalid")
        source, group = item.get("source", "manual"), item.get("group") or 0
        if source not in SOURCES or group < 0:
            raise Refused(400, "source or group is not allowed")
        return {"label_id": item["label_id"], "group": group, "source": source}

    def _attributes(self, label_id: int, given, mutable: bool | None) -> list[dict]:
        """What was given, and defaults for the rest, as the server reads them back."""
        specs = next(label["attributes"] for label in self.labels if label["id"] == label_id)
        wanted = {spec["id"]: spec["default_value"] for spec in specs if mutable in (None, spec["mutable"])}
        values = {int(a["spec_id"]): str(a["value"]) for a in given}
        if set(values) - set(wanted):
            raise Refused(400, "spec_id is invalid")
        return [{"spec_id": spec, "value": value} for spec, value in {**wanted, **values}.items()]

    def _next(self) -> int:
        self._ids += 1
        return self._ids

    # -- functions ----------------------------------------------------------------------------------------------------

    def _about(self, name: str) -> dict:
        function = self._function(name)
        types = ["rectangle"] if function.types is None else list(function.types)
        return {
            "id": name, "kind": function.kind, "labels_v2": [], "description": "", "name": name,
            "version": function.version, "supported_shape_types": types,
        }  # fmt: skip

    def _function(self, name: str) -> Function:
        if name not in self.functions:
            raise Refused(404, REASONS[404])
        return self.functions[name]

    def _call(self, name: str, data: dict) -> dict:
        self.lambda_calls.append(data)
        function = self._function(name)
        if "job" not in data and "task" not in data:
            raise Refused(400, '"job" or "task" is required')
        job = self.jobs.get(data.get("job", 1))
        if job is None or not job.start <= data["frame"] <= job.stop:
            raise Refused(400, "the frame is outside the job")
        reply = self._reply(function, name, data)
        if "states" not in reply:
            raise Refused(500, "<html>KeyError</html>")
        shapes = reply.get("shapes")
        if shapes is not None and function.types is None:
            shapes = [box and {"type": "rectangle", "points": box} for box in shapes]
        return {"shapes": shapes, "states": [self._sign(name, state) for state in reply["states"]]}

    def _reply(self, function: Function, name: str, data: dict) -> dict:
        states = data.get("states") or []
        shapes = list(data.get("shapes") or [None] * len(states))
        allowed = ("rectangle",) if function.types is None else function.types
        for shape in shapes:
            if shape is not None and shape["type"] not in allowed:
                raise Refused(400, f"shape type {shape['type']} is not supported")
        if function.types is None:
            shapes = [shape and shape["points"] for shape in shapes]
        body = {
            "image": base64.b64encode(png(self.images[data["frame"]])).decode(),
            "shapes": shapes,
            "states": [state if state is None else self._open(name, state) for state in states],
        }
        try:
            return function.run(body)
        except Refused as refused:
            raise Refused(refused.status, REASONS.get(refused.status, str(refused.status))) from None

    def _sign(self, name: str, state: Any) -> str:
        text = f"{json.dumps(state)}:1vKq"
        return f"{text}:{hmac.new(self._key + name.encode(), text.encode(), hashlib.sha256).hexdigest()}"

    def _open(self, name: str, signed: str) -> Any:
        text, _, signature = signed.rpartition(":")
        if hmac.new(self._key + name.encode(), text.encode(), hashlib.sha256).hexdigest() != signature:
            raise Refused(400, "Invalid or expired tracker state")
        return json.loads(text.rpartition(":")[0])

    def expire_states(self) -> None:
        """Eight hours pass."""
        self._key += b"'"


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def colours(body: dict) -> dict:
    """A tracker for pictures in which each object has a colour of its own; exact, forward and backward."""
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(body["image"]))).convert("RGB"))
    size = {"height": image.shape[0], "width": image.shape[1]}
    shapes: list[Any] = []
    states: list[Any] = []
    for place in range(max(len(body["shapes"]), len(body["states"]))):
        state = body["states"][place] if place < len(body["states"]) else None
        if state is None:
            shape = body["shapes"][place]
            if shape is None:
                raise Refused(400)
            mask = shape_to_mask(shape["type"], shape["points"], **size)
            shapes.append(shape)
            states.append({"type": shape["type"], "colour": np.median(image[mask], axis=0).astype(int).tolist()})
        else:
            mask = (image == state["colour"]).all(-1)
            shapes.append({"type": state["type"], "points": mask_to_shape(state["type"], mask)} if mask.any() else None)
            states.append(state)
    return {"shapes": shapes, "states": states}


def _handler(server: FakeCvat) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body go apart

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, reply, headers = server.answer(self.command, self.path, self.headers, body)
            except Refused as refused:
                status, reply, headers = refused.status, refused.body, {}
            except Dropped:
                self.close_connection = True
                return
            if isinstance(reply, bytes):
                data, kind = reply, "image/png"
            elif isinstance(reply, str):
                data, kind = reply.encode(), "text/plain"
            else:
                data, kind = json.dumps(reply).encode(), "application/vnd.cvat+json"
            self.send_response(status)
            for key, value in headers.items():
                for part in value.split(", "):
                    self.send_header(key, part)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _serve

    return Handler
