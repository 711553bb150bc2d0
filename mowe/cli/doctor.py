"""`doctor`: whether everything is there that an answer needs, and what to do where it is not."""

import importlib
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mowe import weights
from mowe.cli.desk import Desk
from mowe.cli.text import format_table, tell
from mowe.shipped import CHECKPOINTS, DEFAULT_CHECKPOINT
from mowe.weights import ComponentStatus

PACKAGES = (
    "torch", "torchaudio", "transformers", "peft", "tokenizers", "safetensors", "huggingface_hub",
    "accelerate", "numpy", "soundfile", "av", "gradio", "plotly", "scikit-learn", "umap-learn",
    "pyarrow", "tqdm",
)  # fmt: skip
MUST_IMPORT = ("torchaudio", "transformers", "peft")  # what a compiled extension can break
INSTALL = "python -m pip install -r requirements.txt"
FAULTY = 4  # exit code
FETCH = "python -m mowe doctor --fetch"


def run(desk: Desk) -> int:
    """Print the tables; say on standard error what is wrong and how to fix it.

    Returns:
        0 where all is well.

    Raises:
        WeightsError: If a component cannot be fetched.
    """
    if desk.options.fetch:
        weights.ensure(repair=True)
    components = weights.status()
    installed = {name: _version(name) for name in PACKAGES}
    print(_component_table(components), file=desk.out)
    print(file=desk.out)
    print(format_table(("checked", "found"), _machine(installed)), file=desk.out)
    faults = [*_component_faults(components), *_library_faults(installed)]
    for fault in faults:
        tell(f"wrong: {fault}")
    return FAULTY if faults else 0


def _component_table(components: list[ComponentStatus]) -> str:
    header = ("component", "source", "licence", "parameters", "cache", "hash")
    rows = [
        (
            one.name,
            one.source,
            one.licence,
            f"{one.parameters / 1e6:.1f} M",
            "cached" if one.cached else "missing",
            {True: "ok", False: "WRONG", None: "-"}[one.hash_ok],
        )
        for one in components
    ]
    return format_table(header, rows)


def _component_faults(components: list[ComponentStatus]) -> list[str]:
    return [
        f"{one.name} {'changed' if one.cached else 'is missing'}: {one.note} (fix: {FETCH})"
        for one in components
        if not one.cached or one.hash_ok is False
    ]


def _library_faults(installed: dict[str, str | None]) -> list[str]:
    missing = [name for name, found in installed.items() if found is None]
    faults = [f"{name} is not installed (fix: {INSTALL})" for name in missing]
    for name in MUST_IMPORT:
        if name not in missing:
            try:
                importlib.import_module(name)
            except (ImportError, OSError) as error:  # OSError: a shared library that does not load
                faults.append(f"{name} cannot be imported: {error} (fix: {INSTALL})")
    return faults


def _machine(installed: dict[str, str | None]) -> list[tuple[str, str]]:
    cache = weights.cache_dir()
    return [
        ("trained checkpoint", _checkpoint()),
        ("cache folder", f"{cache} ({_free_gigabytes(cache):.1f} GB free)"),
        ("device", _device()),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((name, found or "not installed") for name, found in installed.items()),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _checkpoint() -> str:
    folder = CHECKPOINTS[DEFAULT_CHECKPOINT]
    return f"{folder}" if folder.is_dir() else f"missing: {folder}"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return f"cuda: {card.name}, {card.total_memory / 1e9:.0f} GB"
    return f"cpu: {torch.get_num_threads()} threads, {os.cpu_count()} cores"


def _free_gigabytes(folder: Path) -> float:
    """Free space where `folder` is or would be made."""
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    return shutil.disk_usage(existing).free / 1e9
