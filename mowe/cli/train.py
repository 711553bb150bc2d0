"""`train`: train, or continue a run that was interrupted."""

from mowe.cli.desk import Desk
from mowe.training.config import read_training_config


def run(desk: Desk) -> None:
    """Train as the settings say, and name the checkpoint.

    Raises:
        MoweError: If the settings, the manifest or a component cannot be used.
    """
    config = read_training_config(desk.options.config)
    from mowe.training.loop import train  # here: wrong settings need not wait for torch

    print(f"checkpoint: {train(config)}", file=desk.out)
