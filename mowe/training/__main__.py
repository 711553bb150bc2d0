"""`python -m mowe.training --config FILE`: train, or continue a run that was interrupted."""

import argparse
import sys
from pathlib import Path

from mowe.errors import MoweError
from mowe.training.config import read_training_config
from mowe.training.loop import train


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the run finished, 1 with one sentence when it could not."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file of settings")
    config = parser.parse_args(arguments).config
    try:
        print(f"checkpoint: {train(read_training_config(config))}")
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
