"""Twins of encoders: the same architecture, with random weights."""

import copy

import torch

from mowe.encoders.base import AudioEncoder


@torch.no_grad()
def random_twin(encoder: AudioEncoder, seed: int = 0) -> AudioEncoder:
    """A copy that has learnt nothing; the encoder stays as it is.

    Layers begin anew, as torch initialises them. What no layer of torch holds is drawn with the
    mean and the deviation that it had.

    Args:
        encoder: Of any family, tuned or not.
        seed: Of the weights; the generator of the caller is left alone.
    """
    twin = copy.deepcopy(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in twin.modules():
            if reset := getattr(module, "reset_parameters", None):
                reset()
        for new, old in zip(twin.parameters(), encoder.parameters(), strict=True):
            if new.numel() > 1 and torch.equal(new, old):
                drawn = torch.randn(old.shape) * old.float().std().cpu() + old.float().mean().cpu()
                new.copy_(drawn)
    return twin.eval()
