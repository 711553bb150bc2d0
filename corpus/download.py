"""Fetching pinned packages: one file, one version, one hash; unpacked, never installed."""

import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mowe.errors import MoweError
from mowe.files import file_sha256

logger = logging.getLogger(__name__)

REGISTRIES = ("debian", "pypi", "npm")


class CorpusError(MoweError):
    """A corpus source cannot be built: a package, a folder or a tool is missing or has changed."""


@dataclass(frozen=True)
class Package:
    """One pinned file of a package registry.

    `sha256` is the hash of the downloaded file, in hex.
    """

    registry: str  # one of REGISTRIES
    name: str
    version: str
    sha256: str

    def __post_init__(self) -> None:
        if self.registry not in REGISTRIES:
            raise ValueError(f"registry must be one of {REGISTRIES}, found {self.registry!r}")

    @property
    def title(self) -> str:
        """Registry, name and version, for people."""
        return f"{self.registry} {self.name} {self.version}"


def fetch(package: Package, folder: Path) -> Path:
    """Download a package into `folder`, or reuse the copy that is already there.

    Args:
        package: What to fetch.
        folder: Where downloads are kept.

    Returns:
        The verified file.

    Raises:
        CorpusError: If the client fails or the file is not the pinned one.
    """
    folder = folder.resolve()  # the clients run inside it
    folder.mkdir(parents=True, exist_ok=True)
    found = _downloaded(package, folder)
    if found is None:
        logger.info("downloading %s", package.title)
        _CLIENTS[package.registry](package, folder)
        found = _downloaded(package, folder)
    if found is None:
        raise CorpusError(f"{package.title}: the download left no file in {folder}")
    digest = file_sha256(found)
    if digest != package.sha256:
        found.unlink()
        raise CorpusError(
            f"{package.title}: found sha256 {digest}, allowed is {package.sha256}; "
            "the file was removed, run again to fetch it anew"
        )
    return found


def unpack(package: Package, downloads: Path, folder: Path) -> Path:
    """Fetch a package and unpack it under `folder`; a finished unpacking is reused.

    Args:
        package: What to fetch.
        downloads: Where downloads are kept.
        folder: Parent of the unpacked folders.

    Returns:
        The folder with the package's files.

    Raises:
        CorpusError: If fetching or unpacking fails.
    """
    target = folder.resolve() / f"{package.name}-{package.sha256[:8]}"
    if target.is_dir():
        return target
    archive = fetch(package, downloads)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _extract(archive, partial)
    partial.rename(target)
    return target


def _downloaded(package: Package, folder: Path) -> Path | None:
    version = package.version.replace(":", "%3a")  # as apt writes it
    pattern = {
        "debian": f"{package.name}_{version}_*.deb",
        "pypi": f"{package.name.replace('-', '_')}-{package.version}*",
        "npm": f"{package.name}-{package.version}.tgz",
    }[package.registry]
    return next(iter(sorted(folder.glob(pattern))), None)


def _apt_get(package: Package, folder: Path) -> None:
    command = ["apt-get", "download", "-q", f"{package.name}={package.version}"]
    _run(command, folder, f"{package.title}: apt-get could not fetch it; try `apt-get update`")


def _pip_download(package: Package, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    _run([*command, f"{package.name}=={package.version}"], folder, f"{package.title}: pip failed")


def _npm_pack(package: Package, folder: Path) -> None:
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    _run(command, folder, f"{package.title}: npm failed")


_CLIENTS = {"debian": _apt_get, "pypi": _pip_download, "npm": _npm_pack}


def _run(command: list[str], folder: Path, failure: str) -> None:
    if shutil.which(command[0]) is None:
        raise CorpusError(f"{failure}: the command {command[0]!r} is not on this machine")
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = result.stderr.strip().splitlines() or ["it said nothing"]
        raise CorpusError(f"{failure} ({said[-1]})")


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".deb":
        _run(["dpkg-deb", "-x", str(archive), str(folder)], folder, f"{archive.name}: unpacking")
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
