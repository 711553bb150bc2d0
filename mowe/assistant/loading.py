"""From a name to an assistant: a trained checkpoint, or, only when asked for, random weights."""

import re
from pathlib import Path

import torch

from mowe.assistant.assistant import Assistant
from mowe.checkpoint import MoWE
from mowe.errors import CheckpointError, MoweError
from mowe.presets import PRESETS
from mowe.shipped import CHECKPOINTS, DEFAULT_CHECKPOINT

_HUB_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def load(
    name: str = DEFAULT_CHECKPOINT, *, device: str | None = None, untrained: bool = False
) -> Assistant:
    """Load a trained mixture and answer with it.

    Args:
        name: `mini` (the shipped checkpoint), a checkpoint folder, or a hub repo; with `untrained`,
            a preset.
        device: `cpu`, `cuda`, ...; None takes a GPU where there is one.
        untrained: Build the preset with random weights in place of what training would give; its
            answers say so.

    Raises:
        CheckpointError: If there is no such checkpoint, it is incomplete or its components changed.
        ConfigError: If there is no such preset.
        WeightsError: If a component cannot be fetched or verified.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if untrained:
        return Assistant(MoWE.from_preset(name, device=device))
    place = str(find_checkpoint(name))
    card = Path(place, "README.md")
    try:
        model = MoWE.from_pretrained(place, device=device)
    except MoweError:
        raise
    except (OSError, ValueError) as error:  # what the hub's client says to a name or a network
        reason = str(error).splitlines()[0].rstrip(".")
        raise CheckpointError(f"{name} cannot be loaded ({reason}); {_what_there_is()}") from error
    return Assistant(model, card=card.read_text(encoding="utf-8") if card.is_file() else "")


def find_checkpoint(name: str) -> Path | str:
    """The folder that a name means, or the hub repo where there is no such folder.

    Raises:
        CheckpointError: If it is neither.
    """
    place = CHECKPOINTS.get(name, Path(name))
    if name and place.is_dir():  # an empty name would be the working folder
        return place
    if name in CHECKPOINTS:
        raise CheckpointError(
            f"the shipped checkpoint {name} is not at {place}; copy it there again"
        )
    if name in PRESETS:
        raise CheckpointError(f"{name} is a preset without a checkpoint; {_what_there_is()}")
    if place.exists() or not _HUB_REPO.fullmatch(name):
        raise CheckpointError(f"there is no checkpoint {name!r}; {_what_there_is()}")
    return name


def _what_there_is() -> str:
    return (
        f"there are {', '.join(CHECKPOINTS)}, checkpoint folders and hub repos (owner/name),"
        f" and untrained, with random weights, {', '.join(PRESETS)}"
    )
