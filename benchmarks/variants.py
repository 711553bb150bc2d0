"""One mixture, its base alone, and other ways to use its pool: what `benchmarks.cost` compares.

All variants share encoders and language model. Routers, projections and the adapter `stack` of
another width have random weights: they cost what trained ones would.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mowe import load_audio
from mowe.checkpoint import MoWE
from mowe.config import HintsConfig, MoWEConfig, RoutingConfig, StackConfig
from mowe.encoders import EncodedAudio
from mowe.experiments.cost import BASE, BESIDE, DENSE, HEAVIEST, LEARNED, LIGHTEST
from mowe.hints import Hints
from mowe.model import AudioBatch, Features, make_batch
from mowe.model.adapter import build_adapter
from mowe.model.control import Override, RoutingControl
from mowe.model.fusion import Fusion, WeakFeatures
from mowe.model.language_model import AUDIO_ID, LanguageModel
from mowe.model.language_model.decoding import reply_ids

TEXT_TOKENS = 40  # of a prompt, beside the audio tokens
REPLY_TOKENS = 10  # below the twelve after which a reply may be taken for a loop


class Variant(NamedTuple):
    """A way to use the pool."""

    name: str
    model: MoWE
    control: RoutingControl | None = None


class Listened(NamedTuple):
    """A clip as audio tokens."""

    tokens: Tensor  # (1, audio_tokens, llm_dim)
    chosen: tuple[int, ...]  # weak encoders that ran, by position
    seconds: float  # from the file's name


class SideBySide(Fusion):
    """The projected features of all encoders beside the base's, without weights."""

    def forward(
        self, base: Tensor, weak: dict[int, WeakFeatures], weights: tuple[Tensor, ...]
    ) -> Tensor:
        """`(batch, frames, base_dim + encoders * weak_dim)`; every encoder heard every example."""
        count = base.shape[1]
        aligned = [self.aligned(place, one, count) for place, one in weak.items()]
        return torch.cat([base.float(), *aligned], dim=-1)


def variants(model: MoWE, weights: Sequence[int], *, trained: bool) -> list[Variant]:
    """With and without the mixture; `weights` are the multiply-adds of each weak encoder."""
    config, base, pool = model.config, model.base_encoder, model.pool
    config = replace(config, adapter=StackConfig(), hints=HintsConfig())
    alone = replace(config, weak_encoders=(), routing=RoutingConfig(kind="none", top_k=0))
    dims, width = tuple(one.dim for one in pool), config.weak_dim
    rate, llm_dim, hints = base.frames_per_second, model.language_model.dim, Hints(None, None)

    def on(room: nn.Module) -> nn.Module:
        return room.to(model.device).eval()

    def adapter(weak: int) -> nn.Module:
        return on(build_adapter(config.adapter, base.dim + weak * width, llm_dim))

    routed = _changed(model, config, adapter=adapter(2), hints=hints)
    order = sorted(range(len(pool)), key=lambda place: weights[place])
    light, second, heavy = (pool[order[place]].name for place in (0, -2, -1))
    found = [
        Variant(
            BASE,
            _changed(
                model, alone, weak_encoders=nn.ModuleList(), router=None,
                fusion=Fusion((), width, rate), adapter=adapter(0), hints=hints,
            ),
        ),
        Variant(LIGHTEST, routed, _picks(light, light)),
        Variant(LEARNED, routed),
        Variant(HEAVIEST, routed, _picks(second, heavy)),
        Variant(DENSE, routed, RoutingControl(dense=True)),
        Variant(
            BESIDE,
            _changed(
                model, config, fusion=on(SideBySide(dims, width, rate)),
                adapter=adapter(len(pool)), hints=hints,
            ),
            RoutingControl(dense=True),
        ),
    ]  # fmt: skip
    return [one for one in found if trained or one.name != LEARNED]


def _changed(model: MoWE, config: MoWEConfig, **rooms: nn.Module | None) -> MoWE:
    """The same mixture with some rooms of its own."""
    found = copy.copy(model)
    found.config, found._modules = config, {**model._modules, **rooms}
    return found


def _picks(independent: str, dependent: str) -> RoutingControl:
    return RoutingControl(
        independent=Override(force=(independent,)), dependent=Override(force=(dependent,))
    )


def clock(model: MoWE) -> float:
    """Seconds, once the device has done what it was told."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def batch_of(model: MoWE, clip: Path) -> AudioBatch:
    """A file at the rates of the model's encoders, on its device."""
    recording = load_audio(clip)
    batch = make_batch(
        [{rate: torch.from_numpy(recording.at(rate)) for rate in model.sample_rates}]
    )
    return AudioBatch(
        *({rate: one.to(model.device) for rate, one in part.items()} for part in batch)
    )


def listen(
    variant: Variant, clip: Path, base: tuple[EncodedAudio, float] | None = None
) -> Listened:
    """A file to audio tokens, as `MoWEModel.listen` does it.

    `base`: its frames and the seconds that they took, where the base encoder need not run again.
    """
    model = variant.model
    started = clock(model)
    audio = batch_of(model, clip)
    frames, before = base or (model.encode_base(audio), 0.0)
    routing = model.route(frames, variant.control)
    rows = routing.chosen_rows()
    heard = model.adapt(Features(frames, routing, model.encode_pool(audio, rows)))
    return Listened(heard.tokens, tuple(rows), clock(model) - started + before)


def read(model: MoWE, tokens: Tensor, layers: int) -> dict[str, float]:
    """Seconds of the language model to its first token and to `REPLY_TOKENS`, with text around.

    Where it has fewer than `layers`, their time is scaled; the output layer's, measured apart, not.
    """
    language_model = model.language_model
    text, network = torch.arange(TEXT_TOKENS // 2), language_model.model
    ids = torch.cat([text, torch.full((len(tokens),), AUDIO_ID), text]).to(model.device)
    started = clock(model)
    reply = reply_ids(
        network, language_model.embed(ids[None], tokens), lambda logits: int(logits.argmax()),
        room=REPLY_TOKENS, ends=(), stop=Event(),
    )  # fmt: skip
    next(reply)
    first = clock(model) - started
    for _ in reply:
        pass
    whole = clock(model) - started
    more, head = layers / network.config.num_hidden_layers, 0.0
    if more > 1:
        state = tokens[:1].to(language_model.embedding.weight.dtype)
        started = clock(model)
        for _ in range(REPLY_TOKENS):
            network.lm_head(state)
        head = (clock(model) - started) / REPLY_TOKENS
    return {
        "first": scaled(first, head, more),
        "answer": scaled(whole, REPLY_TOKENS * head, more),
    }


def scaled(seconds: float, head: float, more: float) -> float:
    """What `more` times the layers would take, of which `head` seconds belong to none of them."""
    return head + (seconds - head) * more


def count(work: Callable[[], Any]) -> tuple[Any, int]:
    """What some work gives, and its multiply-adds: matrices, convolutions, attention, LSTMs.

    Not in torch's inference mode, which weight normalisation does not go with while counted.
    """
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
        found = work()
    return found, counter.get_total_flops() // 2


def _attention(query: Any, key: Any, *_: Any, **__: Any) -> int:
    batch, heads, queries, dim = query
    return int(4 * batch * heads * queries * key[2] * dim)


def _lstm(sound: Any, *weights: Any, **_: Any) -> int:
    matrices = sum(one[0] * one[1] for one in weights[:2])
    return int(2 * sound[0] * sound[1] * matrices)


_UNCOUNTED: Mapping[Any, Any] = {  # by torch's own counter, as of 2.13
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten.mkldnn_rnn_layer: _lstm,
}


def parameters(*modules: nn.Module | None) -> int:
    """Of all modules together."""
    return sum(one.numel() for module in modules if module for one in module.parameters())


def running(variant: Variant, chosen: Sequence[int]) -> int:
    """Parameters that a window passes through, the language model apart."""
    model = variant.model
    weak = [part for k in chosen for part in (model.pool[k], model.fusion.projections[k])]
    router = None if variant.name == BESIDE else model.router
    return parameters(model.base_encoder, router, model.adapter, *weak)


def whole_language_model(config: MoWEConfig) -> LanguageModel:
    """The language model of a mixture in its full size, without memory and without LoRA."""
    with torch.device("meta"):
        return LanguageModel(replace(config.language_model, lora_rank=0))


def prefill(language_model: LanguageModel, audio_tokens: int) -> int:
    """Multiply-adds up to the first token of a reply."""
    tokens = TEXT_TOKENS + audio_tokens
    asked = torch.zeros(1, tokens, language_model.dim, device="meta")
    # a mask of its own: transformers else looks at positions, and `meta` has no numbers
    mask = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device="meta")
    settings = {"attention_mask": mask, "logits_to_keep": 1, "use_cache": False}
    return count(lambda: language_model.model(inputs_embeds=asked, **settings))[1]
