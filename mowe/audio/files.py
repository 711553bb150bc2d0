"""Files as they are opened here: regular ones within the limits, and nothing else."""

import hashlib
import io
import os
import stat
from pathlib import Path

from mowe.audio.formats import HEAD_BYTES, TEXT, describe_content, refusal
from mowe.audio.limits import AudioLimits
from mowe.errors import AudioError

MAX_NAME_CHARS = 120
# a pipe that is put in the file's place after the first look must not be waited for
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_recording(
    path: Path, *, name: str | None = None, limits: AudioLimits | None = None
) -> io.FileIO:
    """Open a regular file within the limits for reading, unbuffered.

    Args:
        path: Links are followed.
        name: What to call it; its own file name by default.
        limits: What is allowed; `AudioLimits()` by default.

    Raises:
        AudioError: If it is missing, unreadable, empty, too large, a folder, a pipe or a device.
    """
    limits, name = limits or AudioLimits(), name or printable(path.name)
    try:
        _check(name, path.stat(), limits)  # before it is opened: opening a device can act on it
        file = open(os.open(path, _FLAGS), "rb", buffering=0)  # noqa: PTH123, SIM115
    except FileNotFoundError:
        raise AudioError(f"{name} does not exist; the path of an audio file is needed.") from None
    except PermissionError:
        raise AudioError(f"{name} may not be read; its permissions do not allow it.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise AudioError(f"{name} cannot be read: {reason}.") from None
    try:
        _check(name, os.fstat(file.fileno()), limits)  # another file may stand there by now
    except AudioError:
        file.close()
        raise
    return file


def check_recording(path: Path, *, limits: AudioLimits | None = None) -> None:
    """Look whether a file can be a recording, without decoding it; decoding may still refuse it.

    Raises:
        AudioError: See `open_recording`; or if it holds text.
    """
    name = printable(path.name)
    try:
        with open_recording(path, limits=limits) as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror}.") from None
    if describe_content(head) == TEXT:
        raise AudioError(refusal(name, head))


def file_hash(path: Path, *, limits: AudioLimits | None = None) -> str:
    """Sha256 (hex) of the content of a file that `open_recording` opens.

    Raises:
        AudioError: See `open_recording`; or if reading fails.
    """
    try:
        with open_recording(path, limits=limits) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioError(f"{printable(path.name)} cannot be read: {error.strerror}.") from None


def printable(name: str) -> str:
    """A name that is safe to show: file names may hold terminal codes and lone surrogates."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_NAME_CHARS])


def _check(name: str, found: os.stat_result, limits: AudioLimits) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise AudioError(f"{name} is a folder; a single audio file is needed.")
    if not stat.S_ISREG(found.st_mode):
        raise AudioError(f"{name} is not a regular file; a single audio file is needed.")
    limits.check_size(name, found.st_size)
