"""`python -m mowe.training.ship RUN/final --out FOLDER`: a checkpoint in half precision.

Single numbers stay as they are.
"""

import argparse
import sys
from pathlib import Path

import torch

from mowe.checkpoint import read_config, read_trained, write_checkpoint
from mowe.errors import MoweError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.ship", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder that a run wrote")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        config, state = read_config(given.checkpoint), read_trained(given.checkpoint)
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    half = {
        name: tensor.to(torch.float16) if tensor.is_floating_point() and tensor.ndim else tensor
        for name, tensor in state.items()
    }
    given.out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(given.out, config, half)
    for path in sorted(given.out.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
