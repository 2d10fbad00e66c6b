"""Cache: object code on disk, so that a second process compiles nothing.

A file's name is a digest of all that its code depends on: LLVM's text, LLVM's version, the
processor and its features. Its first bytes are a digest of the rest: what is corrupt, cut short
or another program's does not count, and is made anew. Files are written aside and renamed, so that
no process reads half of one, and the oldest go when they take more than the folder may hold.

The folder is private to the user: `$GRADARRAY_CACHE`, or `gradarray` in `$XDG_CACHE_HOME`, or
`~/.cache/gradarray`; `GRADARRAY_CACHE=off` keeps nothing. One that others can write to is not used:
what is read there runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

LIMIT = 256 << 20  # bytes of all files
FORMAT = b"gradarray object 1\n"
_DIGEST = 32  # bytes


def folder() -> Path | None:
    """Where code is kept; None for nowhere."""
    named = os.environ.get("GRADARRAY_CACHE")
    if named is not None:
        return None if named.lower() in ("", "0", "off", "none") else Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gradarray" if os.path.isabs(base) else None


def key(*parts: str) -> str:
    digest = hashlib.sha256(FORMAT)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def load(name: str) -> bytes | None:
    """The code under a key, if it is there and whole."""
    at = folder()
    if at is None:
        return None
    try:
        if not _is_private(at):
            return None
        data = (at / f"{name}.o").read_bytes()
    except (OSError, ValueError):
        return None
    start = len(FORMAT) + _DIGEST
    code = data[start:]
    if data[:start] != FORMAT + hashlib.sha256(name.encode() + code).digest():
        return None
    with contextlib.suppress(OSError):
        os.utime(at / f"{name}.o")  # used just now
    return code


def store(name: str, code: bytes) -> None:
    """Keep code under a key; a disk that is full or read-only is no error."""
    at = folder()
    if at is None:
        return
    try:
        at.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(at):
            return
        handle, aside = tempfile.mkstemp(dir=at, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(FORMAT + hashlib.sha256(name.encode() + code).digest() + code)
            os.replace(aside, at / f"{name}.o")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
        if _is_time_to_tidy(name, len(code)):
            _tidy(at)
    except (OSError, ValueError):
        return


def _is_time_to_tidy(name: str, size: int) -> bool:
    """Not at each file, for the folder may hold thousands: one in 16 by its name, or many bytes."""
    global _stored
    _stored += size
    if _stored < LIMIT // 64 and name[0] != "0":
        return False
    _stored = 0
    return True


_stored = 0  # bytes since this process has tidied up


def _is_private(at: Path) -> bool:
    """Is the folder this user's, and closed to the writing of others?"""
    if not hasattr(os, "getuid"):
        return at.is_dir()  # Windows: the user's own profile
    found = at.stat()
    mine = found.st_uid == os.getuid()
    return mine and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o022


def _tidy(at: Path) -> None:
    """Remove the files that were not used for longest, down to three quarters of the limit."""
    files = []
    for entry in os.scandir(at):
        with contextlib.suppress(OSError):
            if entry.name.endswith((".o", ".tmp")):
                found = entry.stat(follow_symlinks=False)
                files.append((found.st_mtime, found.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    if total <= LIMIT:
        return
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
        if total <= LIMIT * 3 // 4:
            return
