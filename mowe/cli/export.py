"""`export`: a run's checkpoint as a folder to share."""

from mowe.cli.desk import Desk
from mowe.training.ship import ship


def run(desk: Desk) -> None:
    """Write the folder, and list its files.

    Raises:
        CheckpointError: If there is no whole checkpoint.
        ConfigError: If `--out` holds something else.
    """
    for path in ship(desk.options.checkpoint, desk.options.out):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", file=desk.out)
