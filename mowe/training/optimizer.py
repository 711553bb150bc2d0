"""What is trained, at which rates, and along which schedule."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mowe.checkpoint import MoWE
from mowe.errors import ConfigError
from mowe.model.tuning import is_lora


def trained_parameters(model: MoWE, names: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    """The parameters of what a run trains, by its name in `train`; nothing else gets a gradient.

    Raises:
        ConfigError: If the encoders are named, and the mixture trains none.
    """
    lora = (one for name, one in model.language_model.named_parameters() if is_lora(name))
    rooms = {
        "router": [] if model.router is None else list(model.router.parameters()),
        "fusion": list(model.fusion.parameters()),
        "adapter": list(model.adapter.parameters()),
        "lora": list(lora),
        "encoders": model.encoder_parameters(),
    }
    if "encoders" in names and not rooms["encoders"]:
        raise ConfigError(
            f"train names 'encoders', but preset {model.config.preset!r} trains none: give one of "
            "its encoders `train` 'lora' or 'full', or leave them out"
        )
    return {name: rooms[name] for name in names}


def build_optimizer(
    model: MoWE,
    rooms: Mapping[str, Sequence[nn.Parameter]],
    peaks: Mapping[str, float],
    weight_decay: float,
) -> torch.optim.AdamW:
    """AdamW over those of the rooms that have a peak rate; all else of the model is frozen.

    Args:
        model: The mixture.
        rooms: From `trained_parameters`.
        peaks: Peak rate of each room that takes part in a stage.
        weight_decay: Of every parameter.
    """
    model.requires_grad_(False)
    groups: list[dict[str, Any]] = []
    for name, peak in peaks.items():
        if parameters := list(rooms.get(name, ())):
            groups.append({"params": parameters, "peak": peak})
            for parameter in parameters:
                parameter.requires_grad_(True)
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, warmup: float) -> None:
    """Linear warm-up over a share of the steps, then a cosine to a twentieth of the peak."""
    rising = max(round(steps * warmup), 1)
    if step < rising:
        share = (step + 1) / rising
    else:
        gone = (step - rising) / max(steps - rising, 1)
        share = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * gone))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
