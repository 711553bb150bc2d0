"""What is trained, at which rates, and along which schedule."""

import math
from collections.abc import Collection, Mapping
from itertools import chain

import torch

from mowe.checkpoint import MoWE
from mowe.errors import ConfigError
from mowe.model.tuning import is_lora


def build_optimizer(
    model: MoWE, names: Collection[str], peaks: Mapping[str, float], weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over what is trained; nothing else of the model gets a gradient.

    Args:
        model: The mixture.
        names: What a run trains, as in `train`.
        peaks: Peak rate of all that can be trained in a stage, by the same names; `independent` is
            the data-independent router's, `router` the other's.
        weight_decay: Of every parameter.

    Raises:
        ConfigError: If the encoders are named, and the mixture trains none.
    """
    lora = [one for name, one in model.language_model.named_parameters() if is_lora(name)]
    router = {} if model.router is None else dict(model.router.named_parameters())
    independent = router.pop("independent_logits", None)
    rooms = {
        "router": list(router.values()),
        "independent": [] if independent is None else [independent],
        "fusion": list(model.fusion.parameters()),
        "adapter": list(model.adapter.parameters()),
        "heads": [] if model.heads is None else list(model.heads.parameters()),
        "lora": lora,
        "encoders": model.encoder_parameters(),
    }
    if "encoders" in names and not rooms["encoders"]:
        raise ConfigError(
            f"train names 'encoders', but preset {model.config.preset!r} trains none: give one of "
            "its encoders `train` 'lora' or 'full', or leave them out"
        )
    named = {*names, "independent"} if "router" in names else {*names}
    trained = {name: rooms[name] for name in peaks if name in named and rooms[name]}
    model.requires_grad_(False)
    for parameter in chain(*trained.values()):
        parameter.requires_grad_(True)
    groups = [{"params": room, "peak": peaks[name]} for name, room in trained.items()]
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
