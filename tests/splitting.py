"""`torchrun splitting.py CONFIG STAGE OUT`: loss and gradients of a training's first step."""

import sys
from pathlib import Path

import torch

from mowe.training.config import read_training_config
from mowe.training.loop import backward, summed
from mowe.training.run import build_run
from mowe.training.stages import build_stage


def first_step(path: Path, stage: str) -> dict[str, torch.Tensor]:
    """Loss and its parts, and the gradient of every trained parameter by name."""
    run = build_run(read_training_config(path))
    built = build_stage(run, stage)
    # computed in one way for all splits: rounded to half precision, no difference stays small
    run.store.fill(built.sampler.step(0), weak=True)
    found, _ = backward(run, built, run.accelerator.prepare(built.step), 0)
    losses = {name: torch.tensor(one) for name, one in summed(run, found).items()}
    named = run.model.named_parameters()
    return losses | {name: one.grad.clone() for name, one in named if one.grad is not None}


if __name__ == "__main__":
    found = first_step(Path(sys.argv[1]), sys.argv[2])
    torch.save(found, sys.argv[3])  # the same from every process
