"""Numbers about who was chosen, shared by evaluation and analysis."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import mutual_info_score

PERMUTATIONS = 1000


def effective_number(weights: Sequence[float]) -> float:
    """Exponential of the entropy of weights: how many encoders share the work, 1 to all.

    Args:
        weights: Not negative, `(encoders,)`; they are scaled to sum to 1.
    """
    shares = np.asarray(weights, dtype=float)
    if shares.sum() <= 0:
        return 0.0
    shares = shares / shares.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def mutual_information(
    labels: Sequence[str], clips: Sequence[str], choice: Mapping[str, str], seed: int
) -> dict[str, float]:
    """Mutual information (nats) between labels and the choice for their clips, tested.

    Clips exchange their choices in every permutation, so questions about one clip stay together.

    Args:
        labels: Task or source of every row.
        clips: The clip of every row.
        choice: The encoder chosen for each clip.
        seed: Of the permutations.
    """
    names = sorted(choice)
    places = {name: number for number, name in enumerate(names)}
    rows = np.array([places[clip] for clip in clips])
    _, chosen = np.unique([choice[name] for name in names], return_inverse=True)
    _, coded = np.unique(np.asarray(labels), return_inverse=True)
    found = mutual_info_score(coded, chosen[rows])
    rng = np.random.default_rng(seed)
    by_chance = [
        mutual_info_score(coded, rng.permutation(chosen)[rows]) for _ in range(PERMUTATIONS)
    ]
    # equal up to rounding counts as reached
    reached = sum(value >= found - 1e-12 for value in by_chance)
    return {
        "nats": round(float(found), 5),
        "by_chance": round(float(np.mean(by_chance)), 5),
        "p": round((1 + reached) / (1 + PERMUTATIONS), 5),
        "permutations": PERMUTATIONS,
    }
