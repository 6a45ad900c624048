"""The annotation page that tests of the button drive, and shapes to put on it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from button_server import ButtonServer

from agss_model.masks import decode_cvat_mask, encode_cvat_mask

WIDTH, HEIGHT = 64, 48
ATTRIBUTES = [
    {"id": 7, "name": "colour", "mutable": False, "defaultValue": "grey"},
    {"id": 8, "name": "state", "mutable": True, "defaultValue": "moving"},
]
LABELS = [
    {"id": 1, "name": "car", "type": "any", "attributes": ATTRIBUTES},
    {"id": 2, "name": "dog", "type": "mask", "attributes": []},
    {"id": 3, "name": "road", "type": "polygon", "attributes": []},
]


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def mask_shape(mask: np.ndarray, *, frame: int = 5, label: int = 1, group: int = 0, **changes: Any) -> dict[str, Any]:
    """A mask as CVAT exports it from an open job."""
    return {
        "type": "mask", "points": encode_cvat_mask(mask), "frame": frame, "label_id": label, "group": group,
        "attributes": [], "z_order": 0, "occluded": False, "outside": False, "rotation": 0, "source": "manual",
        "elements": [], "score": 1, **changes,
    }  # fmt: skip


def polygon_shape(points: list[float], **changes: Any) -> dict[str, Any]:
    return {**mask_shape(rectangle(0, 0, 1, 1)), "type": "polygon", "points": points, **changes}


class Annotation:
    """One open annotation page; `fake` are its inner parts (see fake/surface.js)."""

    def __init__(self, page: Any, server: ButtonServer) -> None:
        self.page, self.server = page, server
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    def open(self, shapes: Any = (), *, frames: range = range(20), frame: int = 5, **config: Any) -> Annotation:
        self.server.first, self.server.last = frames[0], frames[-1]
        value = {
            "job": {"id": 11, "taskId": 3, "startFrame": frames[0], "stopFrame": frames[-1]},
            "image": {"width": self.server.width, "height": self.server.height},
            "labels": LABELS, "shapes": list(shapes), "tracks": [], "frames": list(frames), "frame": frame, **config,
        }  # fmt: skip
        self.page.add_init_script(f"window.fakeConfig = {json.dumps(value)}")
        self.page.goto(self.server.url)
        return self

    def fake(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(argument) => window.fake.{expression}", argument)

    @property
    def shapes(self) -> list[dict]:
        return self.fake("objects.shapes")

    @property
    def tracks(self) -> list[dict]:
        return self.fake("objects.tracks")

    def masks(self, **conditions: Any) -> dict[int, np.ndarray]:
        """Frame -> mask of the mask shapes with these properties; no frame may have two."""
        found = [s for s in self.shapes if s["type"] == "mask" and all(s[k] == v for k, v in conditions.items())]
        assert len({shape["frame"] for shape in found}) == len(found)
        size = {"width": self.server.width, "height": self.server.height}
        return {shape["frame"]: decode_cvat_mask(shape["points"], **size) for shape in found}

    @property
    def undo_steps(self) -> int:
        return self.fake("history.undo.length")

    def run_action(self, changes: dict[str, str] | None = None, selected: int | None = None) -> None:
        """As CVAT's window of "Run actions" does; waits for the end."""
        self.page.evaluate(
            "([name, changes, selected]) => window.fake.runAction(name, changes, selected)",
            ["Track all objects", changes or {}, selected],
        )

    @property
    def errors(self) -> list[str]:
        return self.fake("errors")

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def open_dialog(self) -> Any:
        self.click("Track all")
        self.page.locator("#agss-vos-target").wait_for(state="attached")
        return self.page.get_by_role("dialog")

    def value(self, field: str) -> str:
        """Of a field of the dialog, by the end of its id."""
        return self.page.locator(f"#agss-vos-{field}").input_value()

    def track(self, target: int, **choices: str) -> None:
        """Through the dialog, with `output` or other fields by the end of their id."""
        self.open_dialog()
        self.page.locator("#agss-vos-target").fill(str(target))
        for field, value in choices.items():
            element = self.page.locator(f"#agss-vos-{field}")
            if element.evaluate("element => element.tagName") == "SELECT":
                element.select_option(value)
            else:
                element.fill(value)
        self.click("Track")

    def track_both(self) -> None:
        """Through the dialog, between what people drew around the frame."""
        self.open_dialog()
        self.page.locator("#agss-vos-way").select_option("both")
        self.click("Track")

    def notice(self) -> str:
        """The text of the next message."""
        notice = self.page.locator(".agss-vos-notice").first
        notice.wait_for()
        return notice.inner_text()

    def finished(self) -> str:
        text = self.notice()
        assert self.page.get_by_role("dialog").count() == 0
        return text
