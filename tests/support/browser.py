"""A real Chromium for tests of user interfaces; without one they skip and say what is missing."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # containers rarely allow one, and only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = {"width": 1600, "height": 900}


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium for the tests of one file.

    While it runs, asyncio.run() fails in this thread (Playwright's loop is there), so what needs asyncio goes into
    another process or another file.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        program = _chromium(playwright.chromium.executable_path)
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A new window for each test, see `open_page`."""
    with open_page(browser) as page:
        yield page


@contextmanager
def open_page(browser):
    """A new window that reaches this machine only: web fonts and the like are refused at once."""
    context = browser.new_context(viewport=SIZE, accept_downloads=False)
    context.route(lambda url: not _local(url), lambda route: route.abort())
    yield context.new_page()
    context.close()


def _local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:", "about:", "file:"))


def _chromium(playwrights_own: str) -> str:
    """Path of the program: the system's, or the one that `playwright install chromium` brought."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and Path(playwrights_own).is_file():
        found = playwrights_own
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
    return found
