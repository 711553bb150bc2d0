"""`export`: a run's checkpoint in half precision, as a folder to share."""

from pathlib import Path

import torch
from torch import Tensor

from mowe.checkpoint import COMPONENTS_FILE, read_config, read_trained, write_checkpoint
from mowe.cli.desk import Desk
from mowe.errors import ConfigError


def run(desk: Desk) -> None:
    """Write the folder, and list its files.

    Raises:
        CheckpointError: If there is no whole checkpoint.
        ConfigError: If `--out` holds something else than an earlier checkpoint.
    """
    given, out = desk.options.checkpoint, desk.options.out
    checkpoint = given / "final" if (given / "final").is_dir() else given  # or a run's own folder
    config, state = read_config(checkpoint), read_trained(checkpoint)
    if out.exists() and not _may_be_written(out):
        raise ConfigError(f"--out needs a new folder or an earlier checkpoint, found {out}")
    out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, config, {name: _halved(tensor) for name, tensor in state.items()})
    for path in sorted(out.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", file=desk.out)


def _may_be_written(path: Path) -> bool:
    return path.is_dir() and ((path / COMPONENTS_FILE).is_file() or not any(path.iterdir()))


def _halved(tensor: Tensor) -> Tensor:
    """In half precision; single numbers stay as they are."""
    return tensor.to(torch.float16) if tensor.is_floating_point() and tensor.ndim else tensor
