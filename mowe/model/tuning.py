"""How much of a pretrained module is trained: nothing, LoRA on its linear layers, or all of it."""

import warnings
from collections.abc import Iterable

import peft
import torch
from torch import Tensor, nn

from mowe.config import EncoderConfig, MoWEConfig
from mowe.encoders import AudioEncoder
from mowe.errors import ConfigError


def add_lora(
    module: nn.Module, layers: Iterable[str], *, rank: int, alpha: int, dropout: float = 0.0
) -> None:
    """Put LoRA beside linear layers, in place; nothing but LoRA needs a gradient afterwards.

    Args:
        module: Any module.
        layers: Last names of the linear layers.
        rank: Of each update, 1 or more.
        alpha: An update is scaled by `alpha / rank`.
        dropout: Before each update, 0 to 1.
    """
    settings = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(layers),
        bias="none",
    )
    peft.inject_adapter_in_model(settings, module.requires_grad_(False))


def is_lora(name: str) -> bool:
    """Whether a parameter of this name is one of LoRA's."""
    return ".lora_" in name


def lora_state(module: nn.Module) -> dict[str, Tensor]:
    """The LoRA tensors by parameter name."""
    return {name: tensor for name, tensor in module.state_dict().items() if is_lora(name)}


def merge_lora(module: nn.Module) -> None:
    """Add LoRA into the weights it sits beside; the module can no longer be trained."""
    for layer in module.modules():
        if isinstance(layer, peft.tuners.lora.LoraLayer):
            layer.merge(safe_merge=False)


def tune(encoder: AudioEncoder, config: EncoderConfig) -> AudioEncoder:
    """Make an encoder as trainable as its config says; it keeps the names of what is trained.

    Raises:
        ConfigError: If LoRA is asked for where there is nothing that it could sit on.
    """
    if config.train == "lora":
        if not encoder.lora_layers:
            raise ConfigError(
                f"{config.name}: the {config.family} family has no linear layers for LoRA, "
                "train must be 'none' or 'full'"
            )
        rank = config.lora_rank
        add_lora(encoder, encoder.lora_layers, rank=rank, alpha=2 * rank)
    elif config.train == "none":
        encoder.requires_grad_(False)
    # as built, what is no weight (Whisper's table of sines) needs no gradient
    named = encoder.named_parameters()
    encoder.trained = frozenset(name for name, one in named if one.requires_grad)
    return encoder.eval()


def warn_of_copies(config: MoWEConfig) -> None:
    """Warn where a pool holds frozen copies of one encoder, among which no router can choose."""
    copies = [
        f"{config.encoder_names[place]} of {config.encoder_names[first]}"
        for place, first in enumerate(config.first_copies)
        if place != first
    ]
    if copies:
        warnings.warn(
            f"{config.preset}: frozen copies are one encoder ({', '.join(copies)}); "
            "train them (`lora` or `full`), or leave them out",
            stacklevel=2,
        )


def cast_frozen(encoder: AudioEncoder, dtype: torch.dtype) -> None:
    """Give what is frozen in an encoder a dtype; one that is trained in full stays as it is."""
    if encoder.trained and not any(is_lora(name) for name in encoder.trained):
        return
    trained = {
        name: one.data for name, one in encoder.named_parameters() if name in encoder.trained
    }
    encoder.to(dtype)
    for name, parameter in encoder.named_parameters():
        parameter.data = trained.get(name, parameter.data)
