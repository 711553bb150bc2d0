"""One token through a Llama by its matrices alone.

The modules of transformers are right for prompts and for every architecture; for a single token of
a small model their Python costs as much time as the matrices. Here a layer is about 25 calls.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import transformers
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F


class PlainLayer(NamedTuple):
    """The parameters of one layer, as they lie in the model: nothing is copied."""

    attention_norm: Tensor  # (llm_dim,)
    mlp_norm: Tensor  # (llm_dim,)
    query: Tensor  # (heads * head_dim, llm_dim)
    key: Tensor  # (key_heads * head_dim, llm_dim)
    value: Tensor  # (key_heads * head_dim, llm_dim)
    output: Tensor  # (llm_dim, heads * head_dim)
    gate: Tensor  # (mlp_dim, llm_dim)
    up: Tensor  # (mlp_dim, llm_dim)
    down: Tensor  # (llm_dim, mlp_dim)


def plain_layers(model: Any) -> list[PlainLayer] | None:
    """The layers of a Llama whose projections are matrices and nothing else.

    Returns:
        None for any other model, or where biases, quantised weights, unmerged LoRA or a second
        device are in the way.
    """
    if type(model) is not transformers.LlamaForCausalLM or model.config.hidden_act != "silu":
        return None
    layers = [layer for module in model.model.layers if (layer := _plain(module)) is not None]
    places = {(one.device, one.dtype) for layer in layers for one in layer}
    return layers if len(layers) == len(model.model.layers) and len(places) == 1 else None


class LlamaStep:
    """Logits after one more token; equal to those of the model, up to rounding."""

    def __init__(self, model: Any, layers: Sequence[PlainLayer], cache: transformers.Cache) -> None:
        """Go on behind what the cache holds.

        Args:
            model: The Llama.
            layers: Its `plain_layers`.
            cache: Keys and values so far; each token adds its own.
        """
        config, decoder = model.config, model.model
        self.layers, self.cache = layers, cache
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.key_heads, self.epsilon = config.num_key_value_heads, config.rms_norm_eps
        self.embedding, self.norm = decoder.embed_tokens.weight, decoder.norm.weight
        self.rotary, self.head = decoder.rotary_emb, model.lm_head

    def __call__(self, token: int) -> Tensor:
        """Logits `(vocabulary,)` after `token`."""
        states = self.embedding[token : token + 1]  # (1, llm_dim)
        cos, sin = self._angles(states)
        for layer, held in zip(self.layers, self.cache.layers, strict=True):
            normed = self._normed(states, layer.attention_norm)
            states = states + self._attended(layer, held, normed, cos, sin)
            normed = self._normed(states, layer.mlp_norm)
            gated = F.silu(F.linear(normed, layer.gate)).mul_(F.linear(normed, layer.up))
            states = states + F.linear(gated, layer.down)
        logits: Tensor = self.head(self._normed(states, self.norm))[0]
        return logits

    def _attended(
        self, layer: PlainLayer, held: Any, normed: Tensor, cos: Tensor, sin: Tensor
    ) -> Tensor:
        turned = torch.cat([F.linear(normed, layer.query), F.linear(normed, layer.key)], dim=1)
        turned = turned.view(-1, self.head_dim)  # (heads + key_heads, head_dim)
        turned = torch.addcmul(turned * cos, turned.roll(self.head_dim // 2, dims=1), sin)
        key = turned[self.heads :].view(1, self.key_heads, 1, self.head_dim)
        value = F.linear(normed, layer.value).view(1, self.key_heads, 1, self.head_dim)
        # the queries that share a key head are as if they were several positions of one head
        queries = turned[: self.heads].view(1, self.key_heads, -1, self.head_dim)
        mixed = F.scaled_dot_product_attention(queries, *held.update(key, value))
        return F.linear(mixed.reshape(1, -1), layer.output)

    def _angles(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine of the position, `(1, head_dim)`, for swapped halves."""
        position = torch.tensor([[self.cache.get_seq_length()]], device=states.device)
        cos, sin = (one[0] for one in self.rotary(states, position))
        half = self.head_dim // 2
        return cos, torch.cat([-sin[:, :half], sin[:, half:]], dim=1)

    def _normed(self, states: Tensor, weight: Tensor) -> Tensor:
        return torch.rms_norm(states, weight.shape, weight, self.epsilon)


def _plain(module: Any) -> PlainLayer | None:
    attention, mlp = module.self_attn, module.mlp
    projections = (
        *(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        *(mlp.gate_proj, mlp.up_proj, mlp.down_proj),
    )
    matrices = [matrix for one in projections if (matrix := _matrix(one)) is not None]
    if len(matrices) < len(projections):
        return None
    norms = module.input_layernorm.weight, module.post_attention_layernorm.weight
    return PlainLayer(*norms, *matrices)


def _matrix(projection: nn.Module) -> Tensor | None:
    """The weight of a projection that is nothing but a matrix; merged LoRA lies in it already."""
    if isinstance(projection, LoraLayer) and projection.merged and not projection.disable_adapters:
        projection = projection.get_base_layer()
    plain = type(projection) is nn.Linear and projection.bias is None
    return projection.weight if plain and isinstance(projection.weight, Tensor) else None
