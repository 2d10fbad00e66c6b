"""What notebooks show: the page in a frame that may run its script and nothing else.

A viewer that is static, such as a repository's, takes the picture.
"""

from __future__ import annotations

from html import escape
from typing import Any

from .page.write import page
from .story import Story
from .svg import svg
from .table import table

HEIGHT = 620  # of the frame


def html(story: Story) -> str:
    """The page within a sandbox: no origin, no forms, no windows, and by its policy no network."""
    name = escape(f"How {story.result.name} came about", quote=True)
    return (
        f'<iframe sandbox="allow-scripts" title="{name}" width="100%" height="{HEIGHT}" '
        f'style="border: 0; border-radius: 8px" srcdoc="{escape(page(story), quote=True)}">'
        "</iframe>"
    )


def mimebundle(story: Story, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """The forms from which a frontend takes the richest that it shows."""
    forms = {
        "text/html": lambda: html(story),
        "image/svg+xml": lambda: svg(story),
        "text/plain": lambda: table(story),
    }
    wanted = [m for m in forms if (not include or m in include) and m not in (exclude or ())]
    return {mime: forms[mime]() for mime in wanted}
