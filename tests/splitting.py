"""Trainings on two processes.

`torchrun splitting.py step CONFIG STAGE OUT`: loss and gradients of a first step.
`torchrun splitting.py train CONFIG [NUMBER]`: train; the processes die in step NUMBER of the run.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch

from mowe.training import loop
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


def on_two_processes(*arguments: object) -> subprocess.CompletedProcess:
    """Run this file with its arguments, one thread a process."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    place = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *launch, __file__, *map(str, arguments)],
        env=os.environ | place | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def die_in(number: int) -> None:
    """End the process at its gradients number `number`, without any cleaning up."""
    really, calls = loop._descend, []

    def descend(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == number:
            os._exit(9)
        really(*arguments)

    loop._descend = descend


if __name__ == "__main__":
    kind, path, *others = sys.argv[1:]
    if kind == "step":
        torch.save(first_step(Path(path), others[0]), others[1])  # the same from both
    else:
        if others:
            die_in(int(others[0]))
        loop.train(read_training_config(Path(path)))
