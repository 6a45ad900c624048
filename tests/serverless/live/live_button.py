"""The button over a real cvat-core: CVAT's own client in a page of ours, with the annotation page's few other parts.

AGSS_TEST_CVAT_CORE names that client, bundled from CVAT's source as one ES module (`cvat-core/src/api.ts`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from live_cvat import ADDRESS, LOGIN, Exact, Live

CORE = os.environ.get("AGSS_TEST_CVAT_CORE", "")
WHY = "needs CVAT's own client as one module: AGSS_TEST_CVAT_CORE"
SCRIPT = Path(__file__).parents[3] / "serverless" / "cvat_ui" / "agss-vos.js"
PAGE = """<!doctype html><title>Annotation</title><div class="cvat-annotation-header-left-group"></div>
<script type="module">
import core from './cvat-core.js';
const { user, password, job: jobID, frame } = window.asked;
await core.server.login(user, password);
const [instance] = await core.jobs.get({ jobID });
await instance.frames.get(frame);
await instance.annotations.clear({ reload: true });
const annotation = {
    job: { instance }, player: { frame: { number: frame } }, annotations: { filters: [], activatedStateID: null },
};
const surface = {
    core, dispatch: () => {}, store: { getState: () => ({ annotation, plugins: { components: {} } }) },
    actionCreators: { changeFrameAsync: () => ({}), addUIComponent: () => null },
};
window.cvatUI = { registerComponent: (build) => build(surface) };
window.job = instance;
const script = document.createElement('script');
script.src = './agss-vos.js';
document.body.append(script);
</script>"""


class Button:
    """Presses of the button in a job, each in a page that was just opened and that is saved at the end."""

    def __init__(self, page: Any, live: Live) -> None:
        self.page, self.live = page, live
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        own = {
            "page.html": PAGE,
            "cvat-core.js": Path(CORE),
            "agss-vos.js": SCRIPT,
            "download.worker": "/* not used */",
        }
        for name, what in own.items():
            self._serve(name, what)

    def _serve(self, name: str, what: str | Path) -> None:
        kind = "text/html" if name.endswith("html") else "text/javascript"
        body = what if isinstance(what, str) else what.read_text(encoding="utf-8")
        self.page.route(f"{ADDRESS}/agss-test/{name}", lambda route: route.fulfill(body=body, content_type=kind))

    def open(self, frame: int) -> None:
        if self.live.exact:
            self.page.route("**/api/lambda/functions/*", self._answer)
        job = self.live.info.job
        asked = {"user": LOGIN[0], "password": LOGIN[1], "job": job, "frame": self.live.at(frame)}
        self.page.add_init_script(f"window.asked = {json.dumps(asked)}")
        self.page.goto(f"{ADDRESS}/agss-test/page.html")
        self.page.get_by_role("button", name="Track all", exact=True).wait_for()

    def _answer(self, route: Any) -> None:
        route.fulfill(json=Exact(self.live).call("", json.loads(route.request.post_data)))

    def press(self, frame: int, target: int | None, **choices: Any) -> str:
        """Track from a frame to another one, or both ways around it, and save; what the button says."""
        self._window(frame)
        if target is not None:
            self.page.locator("#agss-vos-target").fill(str(self.live.at(target)))
        for name, value in choices.items():
            field = self.page.locator(f"#agss-vos-{name}")
            if isinstance(value, bool):
                field.set_checked(value)
            else:
                field.select_option(value)
        self.page.get_by_role("button", name="Track", exact=True).click()
        return self._saved()

    def end(self, frame: int) -> str:
        """Say that the only object of a frame is not there any more, and save."""
        self._window(frame)
        self.page.get_by_role("button", name="Not here any more").click()
        self.page.get_by_role("checkbox").check()
        self.page.get_by_role("button", name="End them", exact=True).click()
        return self._saved()

    def _window(self, frame: int) -> None:
        self.open(frame)
        self.page.get_by_role("button", name="Track all", exact=True).click()

    def _saved(self) -> str:
        notice = self.page.locator(".agss-vos-notice").first
        notice.wait_for()
        said = " ".join(notice.inner_text().split())
        self.page.evaluate("() => window.job.annotations.save()")
        assert not self.errors, self.errors
        return said

    def edit(self, frame: int, script: str, argument: Any = None) -> None:
        """A person's work in CVAT's own client: `script` gets the object states of a frame; all is saved."""
        self.open(frame)
        self.page.evaluate(
            f"""async ([frame, argument]) => {{
                const states = await window.job.annotations.get(frame, false, []);
                await ({script})(states);
                await window.job.annotations.save();
            }}""",
            [self.live.at(frame), argument],
        )
        assert not self.errors, self.errors
