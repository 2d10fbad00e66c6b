"""The page in a real browser: Debian's chromium, driven by Playwright, with no network at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
MEND = "Run: apt-get install chromium fonts-nanum, and pip install 'gradarray[test]'."


def missing() -> str:
    """Why the page cannot be tested here, or nothing."""
    if not any(map(shutil.which, NAMES)):
        return f"there is no chromium on this machine. {MEND}"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return f"playwright is not installed. {MEND}"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """The browser; a machine that has none skips, but on CI that is a failure."""
    why = missing()
    if why:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    from playwright.sync_api import sync_playwright

    path = next(p for p in map(shutil.which, NAMES) if p)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=arguments)
        yield found
        found.close()


class Opened:
    """A page that is open, and all that it asked for or complained of."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page, self.path = page, path
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("console", lambda m: self.errors.append(m.text))
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("dialog", lambda d: self.errors.append(f"dialog: {d.message}"))

    def clean(self) -> None:
        """It asked for nothing but itself, and did not complain."""
        own = self.path.as_uri()
        assert [r for r in self.requests if r.partition("#")[0] != own] == []
        assert self.errors == []

    def open(self, hash: str = "") -> Any:
        self.page.goto(self.path.as_uri() + hash)
        return self.page


@contextmanager
def opened(browser: Any, path: Path, hash: str = "", **context: Any) -> Iterator[Any]:
    """The page of a file, offline; at the end it must be clean."""
    context = {"viewport": {"width": 1280, "height": 800}, "offline": True, **context}
    room = browser.new_context(**context)
    room.set_default_timeout(10_000)
    one = Opened(room.new_page(), path)
    try:
        yield one.open(hash)
        one.clean()
    finally:
        room.close()
