"""A run's checkpoint in half precision, as a folder to share; single numbers stay as they are."""

from pathlib import Path

import torch
from torch import Tensor

from mowe.checkpoint import COMPONENTS_FILE, read_config, read_trained, write_checkpoint
from mowe.errors import ConfigError


def ship(checkpoint: Path, out: Path) -> list[Path]:
    """Write a checkpoint for others.

    Args:
        checkpoint: Folder that a run wrote, or the run's own folder.
        out: A new or empty folder, or an earlier checkpoint, which is replaced.

    Returns:
        What lies in `out`.

    Raises:
        CheckpointError: If there is no whole checkpoint.
        ConfigError: If `out` holds something else.
    """
    final = checkpoint / "final"
    source = final if final.is_dir() else checkpoint
    config, state = read_config(source), read_trained(source)
    if out.exists() and not (out.is_dir() and _may_be_written(out)):
        raise ConfigError(f"--out needs a new folder or an earlier checkpoint, found {out}")
    out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, config, {name: _halved(tensor) for name, tensor in state.items()})
    return sorted(out.iterdir())


def _may_be_written(folder: Path) -> bool:
    return (folder / COMPONENTS_FILE).is_file() or not any(folder.iterdir())


def _halved(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16) if tensor.is_floating_point() and tensor.ndim else tensor
