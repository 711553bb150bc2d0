"""How far a run is, on disk: what is trained, the optimizer's state, the step, and their sums."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mowe.checkpoint import load_trained
from mowe.errors import CheckpointError
from mowe.files import SUMS, check_sums, read_json, write_json, write_sums
from mowe.model import MoWEModel

PRETRAINING, TUNING = "pretraining", "tuning"  # stages, in their order
_WEIGHTS, _OPTIMIZER, _PROGRESS = "trained.safetensors", "optimizer.pt", "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a run is; `step` counts optimizer steps of its stage."""

    stage: str = PRETRAINING
    step: int = 0


def save_progress(
    folder: Path, model: MoWEModel, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write a checkpoint in the place of the one before, whole at every moment."""
    partial, old = folder.with_suffix(".partial"), folder.with_suffix(".old")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    trained = model.trained_state()
    state = {name: one.detach().cpu().contiguous() for name, one in trained.items()}
    save_file(state, partial / _WEIGHTS)
    torch.save(optimizer.state_dict(), partial / _OPTIMIZER)
    write_json(partial / _PROGRESS, vars(progress))
    write_sums(partial)
    if folder.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_progress(folder: Path, model: MoWEModel) -> Progress | None:
    """Take up the weights of the latest checkpoint; None if there is none yet.

    Raises:
        CheckpointError: If it is damaged, of an earlier version, or does not fit this run.
    """
    found = _latest(folder)
    if found is None:
        return None
    anew = f"delete {found} to begin anew"
    if not check_sums(found, CheckpointError, anew):
        raise CheckpointError(
            f"{found} has no {SUMS}, as a version before 0.2 wrote it: finish the run with that "
            f"version, or {anew}"
        )
    load_trained(model, load_file(found / _WEIGHTS))
    return Progress(**read_json(found / _PROGRESS, CheckpointError))


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    """Take up the latest checkpoint's optimizer state, checked by `load_progress`.

    Raises:
        CheckpointError: If it belongs to other parameters.
    """
    found = _latest(folder)
    assert found is not None, "progress was loaded from here"
    state = torch.load(found / _OPTIMIZER, weights_only=True, map_location="cpu")
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise CheckpointError(f"the optimizer state does not fit this run: {error}") from error


def _latest(folder: Path) -> Path | None:
    """The checkpoint; the one before where a run was killed between two renamings."""
    places = (folder, folder.with_suffix(".old"))
    return next((place for place in places if place.is_dir()), None)
