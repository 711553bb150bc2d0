"""Let a reader begin with what a speech decoder knows about the base encoder's frames.

Decision 0012: the decoder's attention reads words out of single frames, whoever speaks; a reader
that begins there needs a tenth of the steps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from mowe import weights
from mowe.adapter import Lens
from mowe.errors import ConfigError


def read_lens(source: str, tokenizer: Any, pieces: list[int]) -> Lens:
    """A lens for text pieces.

    Args:
        source: Where it comes from, as `package:NAME` or `folder:PATH`.
        tokenizer: Of the language model whose tokens `pieces` are.
        pieces: Token ids.

    Raises:
        ConfigError: If there is no lens in the folder.
        WeightsError: If it cannot be fetched.
    """
    folder = _folder(source)
    tensors = {name: one.float() for name, one in load_file(folder / "model.safetensors").items()}
    words = words_of(tensors["words"], folder / "tokenizer.json", tokenizer, pieces)
    return Lens(
        tensors["map.weight"],
        tensors["map.bias"],
        tensors["norm.weight"],
        tensors["norm.bias"],
        words,
    )


def words_of(table: Tensor, spelling: Path, tokenizer: Any, pieces: list[int]) -> Tensor:
    """For each piece the decoder's word of the same text, else the mean of those that spell it.

    Args:
        table: The decoder's words, `(vocabulary, dim)`.
        spelling: Its `tokenizer.json`.
        tokenizer: Of the language model.
        pieces: Token ids of the language model.
    """
    decoder = Tokenizer.from_file(str(spelling))
    rows = []
    for piece in pieces:
        token = decoder.token_to_id(tokenizer.convert_ids_to_tokens(piece))
        text = tokenizer.decode([piece])
        ids = decoder.encode(text, add_special_tokens=False).ids if token is None else [token]
        rows.append(table[ids].mean(dim=0))
    return torch.stack(rows)


def lens_knows(source: str) -> Callable[[str | None], bool]:
    """Whether a token, as byte-level BPE writes it, is one word of the lens.

    Raises:
        ConfigError: If there is no lens in the folder.
        WeightsError: If it cannot be fetched.
    """
    decoder = Tokenizer.from_file(str(_folder(source) / "tokenizer.json"))
    words = decoder.get_vocab()
    return lambda token: token in words


def _folder(source: str) -> Path:
    folder = weights.resolve(source)
    if folder is None or not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{source} is no lens: it needs tensors and a tokenizer.json")
    return folder
