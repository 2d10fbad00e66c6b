"""Writing a file so that a reader finds either the whole old one or the whole new one."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress


def write_atomic(
    path: str | os.PathLike[str], chunks: Iterable[bytes | bytearray | memoryview]
) -> None:
    """Write `chunks` to `path` in one step: whatever goes wrong, the old file stays whole.

    The bytes go to a temporary file in the same folder, are forced to the disk, and the file is
    renamed over `path`; then the folder itself is forced to the disk, so that the rename too
    survives a loss of power. A symbolic link stays a link, and the permissions of a file that is
    replaced are kept.

    Raises OSError as the system gives it (no such folder, disk full, no permission), and whatever
    the iterable of chunks raises; the temporary file is removed in each case.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "note.txt")
    ...     write_atomic(path, [b"one ", b"two"])
    ...     print(path.read_text(), len(list(path.parent.iterdir())))
    one two 1
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # A name too long for the file system with the suffix on it would fail although `path` is fine.
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.tmp")
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write into", folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with open(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(target).st_mode & 0o7777)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # Windows opens no folders, and writes a rename through its journal.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
