"""Several texts at once for a language model: what they begin with alike is computed once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class TokenTree(NamedTuple):
    """Texts as a tree of tokens, each node once for all texts that share all before it."""

    ids: Tensor  # (nodes,) int64
    depths: Tensor  # (nodes,) int64, position in its text
    parents: Tensor  # (nodes,) int64; the root's is itself
    seen: Tensor  # (nodes, nodes) bool: row attends to column, itself or before it in its text
    paths: list[list[int]]  # nodes of each text, in order


def token_tree(texts: Sequence[Sequence[int]]) -> TokenTree:
    """The tree of some texts that begin with the same token.

    Raises:
        ValueError: If they do not, or there is none.
    """
    if len({tuple(text[:1]) for text in texts}) != 1 or not texts[0]:
        raise ValueError("a tree needs texts that begin with the same token")
    nodes: dict[tuple[int, int], int] = {}  # parent, token -> node
    paths = []
    for text in texts:
        place, path = -1, []
        for token in text:
            place = nodes.setdefault((place, token), len(nodes))
            path.append(place)
        paths.append(path)
    parents, seen = [max(parent, 0) for parent, _ in nodes], torch.eye(len(nodes), dtype=torch.bool)
    for node, parent in enumerate(parents[1:], start=1):  # parents come before their children
        seen[node] |= seen[parent]
    depths = seen.sum(dim=1) - 1
    ids = torch.tensor([token for _, token in nodes])
    return TokenTree(ids, depths, torch.tensor(parents), seen, paths)
