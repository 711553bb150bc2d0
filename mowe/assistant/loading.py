"""From a name to an assistant: a trained checkpoint, or, only when asked for, random weights."""

import re
from pathlib import Path

import torch

from mowe.assistant.assistant import Assistant
from mowe.checkpoint import MoWE
from mowe.errors import CheckpointError, ConfigError, MoweError
from mowe.hints.emotion import read_emotion
from mowe.hints.heads import UtteranceHeads
from mowe.presets import PRESETS
from mowe.shipped import CHECKPOINTS, DEFAULT_CHECKPOINT, EMOTION_PARTS

_HUB_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def load(
    name: str = DEFAULT_CHECKPOINT,
    *,
    device: str | None = None,
    untrained: bool = False,
    emotion: bool | Path = False,
) -> Assistant:
    """Load a trained mixture and answer with it.

    Args:
        name: `mini` (the shipped checkpoint), a checkpoint folder, or a hub repo; with `untrained`,
            a preset.
        device: `cpu`, `cuda`, ...; None takes a GPU where there is one.
        untrained: Build the preset with random weights in place of what training would give; its
            answers say so.
        emotion: Guess how voices feel, by a part that may not be used commercially: the one that
            was made for a shipped checkpoint, or the folder of another.

    Raises:
        CheckpointError: If there is no such checkpoint, it is incomplete or its components changed;
            or there is no such part for it.
        ConfigError: If there is no such preset.
        WeightsError: If a component cannot be fetched or verified.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if untrained:
        if emotion:
            raise ConfigError("a mixture with random weights guesses no feelings: leave it out")
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
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return Assistant(model, card=text, emotion=_emotion(name, model, emotion))


def _emotion(name: str, model: MoWE, asked: bool | Path) -> UtteranceHeads | None:
    if asked is False:
        return None
    if model.heads is None:
        raise CheckpointError(
            f"{name} tells nothing of voices, so that it has no part for feelings"
        )
    if asked is True and name not in EMOTION_PARTS:
        raise CheckpointError(
            f"no part that guesses feelings was made for {name}; there is one for "
            f"{', '.join(EMOTION_PARTS)}, or name the folder of another"
        )
    folder = EMOTION_PARTS[name] if asked is True else asked
    return read_emotion(folder, model.fused_dim, model.trained_state())


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
