"""Which language is spoken, as the decoder of a base encoder's own Whisper tells it.

Whisper's decoder begins every transcript with a language token (Radford et al. 2022, arXiv
2212.04356): after one step from its start token it has read the language off the encoder's frames.
Here that step is all it ever does, for many recordings at once (decision 0019).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperDecoder
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.errors import ConfigError, WeightsError

_PREFIXES = ("model.decoder.", "decoder.")
_GENERATION = "generation_config.json"
_RANDOM_HEADS = 4
_MAX_FRAMES = 1500  # 30 s, the positions of every published Whisper


class SpokenLanguage(nn.Module):
    """The first step of a Whisper decoder: base frames to how likely each language is."""

    def __init__(self, stack: WhisperDecoder, languages: Sequence[str]) -> None:
        """Wrap a decoder.

        Args:
            stack: With one position, and a vocabulary of the start token and then the languages.
            languages: Their English names.
        """
        super().__init__()
        self.stack = stack
        self.languages = tuple(languages)
        self.dim = int(stack.config.d_model)

    @torch.no_grad()
    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Log-probabilities `(batch, languages)`, float32, without gradient.

        Args:
            frames: Base frames, of at most 30 s, `(batch, frames, dim)`; or fused frames, which
                begin with them.
            mask: True on real frames, bool `(batch, frames)`; each row has one.
        """
        words = self.stack.embed_tokens.weight
        hidden = (words[0] + self.stack.embed_positions.weight[0]).expand(len(frames), 1, -1)
        # no mask at all lets the faster attention kernels run
        heard = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in self.stack.layers:
            hidden = layer(
                hidden,
                encoder_hidden_states=frames[..., : self.dim].to(words.dtype),
                encoder_attention_mask=heard,
                use_cache=False,
            )
        scores = self.stack.layer_norm(hidden).squeeze(1) @ words[1:].T
        return scores.float().log_softmax(dim=-1)


def build_spoken_language(
    folder: Path | None, dim: int, languages: Sequence[str]
) -> SpokenLanguage:
    """The first step of a Whisper in hub layout, or one with random weights.

    Args:
        folder: Holds tensors, `config.json` and `generation_config.json`; None is random.
        dim: Width of the base encoder's frames.
        languages: English names of those that it may tell apart.

    Raises:
        ConfigError: If the decoder does not know a language.
        WeightsError: If the folder is incomplete, holds no Whisper that tells languages, or one of
            another width.
    """
    if folder is None:
        random = WhisperDecoder(_sizes(len(languages), d_model=dim, decoder_layers=1))
        return SpokenLanguage(random.requires_grad_(False).eval(), languages)
    known = _language_tokens(folder)
    if unknown := sorted({*languages} - known.keys()):
        raise ConfigError(f"the decoder knows no {', '.join(unknown)}; it knows {', '.join(known)}")
    start, sizes = _settings(folder)
    tensors = read_tensors(folder, _PREFIXES, "embed_tokens.weight")
    words = tensors["embed_tokens.weight"]
    if words.shape[1] != dim:
        raise WeightsError(
            f"the decoder of {folder.name} hears frames of width {words.shape[1]}, the base "
            f"encoder's have {dim}"
        )
    tensors["embed_tokens.weight"] = words[[start, *(known[name] for name in languages)]]
    tensors["embed_positions.weight"] = tensors["embed_positions.weight"][:1]
    stack = built_on_meta(lambda: WhisperDecoder(_sizes(len(languages), **sizes)))
    load_strictly(stack, tensors, f"the decoder of {folder.name}")
    return SpokenLanguage(stack.requires_grad_(False).eval(), languages)


def spoken_languages(folder: Path | None) -> list[str]:
    """English names of the languages that a Whisper knows, in the order of its tokens.

    Args:
        folder: In hub layout; None is a random one, which knows all.

    Raises:
        WeightsError: If it is no Whisper that tells languages.
    """
    return list(_language_tokens(folder) if folder else map(str.title, LANGUAGES.values()))


def _language_tokens(folder: Path) -> dict[str, int]:
    """The tokens of its languages by English name, in the order of the tokens."""
    tokens: Mapping[str, int] = _read(folder / _GENERATION).get("lang_to_id") or {}
    codes = {token.strip("<|>"): place for token, place in tokens.items()}
    if not codes or not LANGUAGES.keys() >= codes.keys():
        raise WeightsError(f"{folder.name} is no Whisper that tells languages ({_GENERATION})")
    ordered = sorted(codes.items(), key=lambda item: item[1])
    return {str(LANGUAGES[code]).title(): place for code, place in ordered}


def _settings(folder: Path) -> tuple[int, dict[str, int]]:
    """The decoder's start token and its sizes."""
    config = _read(folder / "config.json")
    sizes = ("d_model", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim")
    try:
        return config["decoder_start_token_id"], {key: config[key] for key in sizes}
    except KeyError as error:
        raise WeightsError(f"config.json of {folder.name} lacks {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise WeightsError(f"cannot read {path}: {error}; fetch the component again") from error
    return content


def _sizes(languages: int, **known: int) -> WhisperConfig:
    known = {"decoder_attention_heads": _RANDOM_HEADS, **known}
    return WhisperConfig(
        vocab_size=1 + languages,
        max_target_positions=1,
        max_source_positions=_MAX_FRAMES,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        decoder_start_token_id=0,
        attn_implementation="sdpa",
        **known,
    )
