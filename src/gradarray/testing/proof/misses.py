"""Why digits are missed where they are: (function, kind of arguments) and the reason."""

from __future__ import annotations

WHY: dict[tuple[str, str], str] = {}
