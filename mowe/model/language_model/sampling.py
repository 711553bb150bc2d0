"""Choosing the next token by its logits."""

import torch
from torch import Tensor


class Sampler:
    """The likeliest token, or one drawn by temperature and nucleus (top-p) sampling."""

    def __init__(
        self, temperature: float, top_p: float, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        """Draw from a generator of its own; equal seeds draw equally.

        Args:
            temperature: Divides the logits; 0 always takes the likeliest token.
            top_p: Probability mass drawn from, in (0, 1].
            seed: Seed of the draws.
            device: Where the logits lie.

        Raises:
            ValueError: If `top_p` is outside (0, 1].
        """
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
        self.temperature, self.top_p = temperature, top_p
        self.generator = torch.Generator(device).manual_seed(seed)

    def __call__(self, logits: Tensor) -> int:
        """One token for logits `(vocabulary,)`."""
        if self.temperature <= 0:
            return int(logits.argmax())
        logits = logits.float()
        # less their maximum first: a temperature near 0 would make infinities of them
        shares = ((logits - logits.max()) / self.temperature).softmax(-1)
        return int(torch.multinomial(nucleus(shares, self.top_p), 1, generator=self.generator))


def nucleus(shares: Tensor, top_p: float) -> Tensor:
    """The fewest tokens that together have `top_p` of the probability, all others at 0.

    Args:
        shares: Probabilities, `(vocabulary,)`.
        top_p: In (0, 1].

    Returns:
        What is left of them, `(vocabulary,)`; it sums to `top_p` or more, not to 1.
    """
    # All tokens this unlikely have less than 1 - top_p together: the sorting can do without them.
    ids = (shares > (1 - top_p) / len(shares)).nonzero()[:, 0]
    ranked, order = shares[ids].sort(descending=True, stable=True)
    kept = ids[order[ranked.cumsum(-1) - ranked < top_p]]
    return torch.zeros_like(shares).index_copy_(0, kept, shares[kept])
