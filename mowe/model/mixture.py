"""MoWE: base encoder, routers, chosen weak encoders, fusion, adapter, language model."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mowe.config import EncoderConfig, MoWEConfig
from mowe.encoders import AudioEncoder, EncodedAudio, build_encoder
from mowe.model.adapter import AudioTokens, build_adapter
from mowe.model.fusion import Fusion, WeakFeatures
from mowe.model.language_model import LanguageModel, Prompt
from mowe.model.routing import (
    Router,
    Routing,
    RoutingControl,
    RoutingLoss,
    pool_frames,
    routing_loss,
)
from mowe.model.tuning import tune

NO_ROUTING = Routing(None, None, None, None)
Distort = Callable[[Tensor, Tensor], Tensor]
# width of fused frames and the language model, to an adapter
BuildAdapter = Callable[[int, LanguageModel], nn.Module]


class AudioBatch(NamedTuple):
    """Recordings as every encoder wants them, padded with zeros on the right."""

    waveforms: dict[int, Tensor]  # Hz -> (batch, samples) float32
    lengths: dict[int, Tensor]  # Hz -> (batch,) int64


class Features(NamedTuple):
    """What the encoders say; that of frozen encoders can be cached."""

    base: EncodedAudio
    routing: Routing
    weak: dict[int, WeakFeatures]


class Heard(NamedTuple):
    """A batch of recordings as audio tokens, with the routing that led there."""

    tokens: Tensor  # (batch, audio_tokens, llm_dim)
    mask: Tensor  # (batch, audio_tokens) bool
    routing: Routing
    pooled: Tensor  # (batch, base_dim) float32, mean of the base frames
    seconds: dict[str, float]  # wall time of `base_encoder`, `weak_encoders`, `adapter`
    notes: Any = None  # of an adapter that tells more than tokens

    def audio_tokens(self) -> list[Tensor]:
        """The real tokens of each example, `(audio_tokens, llm_dim)`."""
        return [tokens[real] for tokens, real in zip(self.tokens, self.mask, strict=True)]


class Losses(NamedTuple):
    """A training step's loss and its parts, scalars in nats."""

    total: Tensor
    next_token: Tensor
    routing: RoutingLoss | None


class MoWEModel(nn.Module):
    """The mixture of weak encoders of arXiv 2409.06635 with its language model."""

    def __init__(
        self,
        config: MoWEConfig,
        folders: Mapping[str, Path | None] | None = None,
        adapter: BuildAdapter | None = None,
    ) -> None:
        """Build every room.

        Args:
            config: The mixture.
            folders: Where each weight source lies; a source that is missing gets random weights.
            adapter: Builds an adapter of another kind than the paper's; else the config names one.

        Raises:
            ConfigError: If the config names an adapter that has to be handed in.
        """
        super().__init__()
        folders = folders or {}
        self.config = config

        def encoder(one: EncoderConfig) -> AudioEncoder:
            return tune(build_encoder(one, folders.get(one.source)), one)

        self.base_encoder = encoder(config.base_encoder)
        self.weak_encoders = nn.ModuleList(encoder(one) for one in config.pool)
        base_dim, routing = self.base_encoder.dim, config.routing
        self.router = (
            Router(
                config.encoder_names,
                base_dim,
                kind=routing.kind,
                top_k=routing.top_k,
                hidden_dim=routing.hidden_dim,
                smoothing=routing.smoothing,
                smoothing_amount=routing.smoothing_amount,
            )
            if config.pool_size
            else None
        )
        self.fusion = Fusion(
            tuple(one.dim for one in self.pool),
            config.weak_dim,
            self.base_encoder.frames_per_second,
        )
        self.language_model = LanguageModel(
            config.language_model, folders.get(config.language_model.source)
        )
        fused_dim = base_dim + self.routers * config.weak_dim
        self.adapter = (
            adapter(fused_dim, self.language_model)
            if adapter
            else build_adapter(config.adapter, fused_dim, self.language_model.dim)
        )

    @property
    def routers(self) -> int:
        """How many routers exist, 0 to 2."""
        return {"none": 0, "both": 2}.get(self.config.routing.kind, 1)

    @property
    def pool(self) -> list[AudioEncoder]:
        """The weak encoders, in the order of every weight vector."""
        return [one for one in self.weak_encoders if isinstance(one, AudioEncoder)]

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Names of the weak encoders, in the order of every weight vector."""
        return self.config.encoder_names

    @property
    def sample_rates(self) -> tuple[int, ...]:
        """Rates in Hz at which the encoders want the audio, ascending."""
        encoders = [self.base_encoder, *self.pool]
        return tuple(sorted({encoder.sample_rate for encoder in encoders}))

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.language_model.embedding.weight.device

    @property
    def trained_encoders(self) -> dict[str, AudioEncoder]:
        """Encoders that are trained, in part or in full, by module name."""
        encoders = {"base_encoder": self.base_encoder}
        encoders |= {f"weak_encoders.{place}": one for place, one in enumerate(self.pool)}
        return {name: one for name, one in encoders.items() if one.trained}

    def encoder_parameters(self) -> list[nn.Parameter]:
        """What is trained inside the encoders; nothing where all are frozen."""
        return [
            parameter
            for encoder in self.trained_encoders.values()
            for name, parameter in encoder.named_parameters()
            if name in encoder.trained
        ]

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes, by parameter name.

        Routers, projections, adapter, the language model's LoRA, and what is trained inside the
        encoders.
        """
        rooms = {"router": self.router, "fusion": self.fusion, "adapter": self.adapter}
        state = {
            f"{room}.{name}": tensor
            for room, module in rooms.items()
            if module is not None
            for name, tensor in module.state_dict().items()
        }
        for room, encoder in self.trained_encoders.items():
            named = encoder.named_parameters()
            state |= {f"{room}.{name}": one.data for name, one in named if name in encoder.trained}
        lora = self.language_model.trained_state()
        return state | {f"language_model.{name}": tensor for name, tensor in lora.items()}

    def encode(
        self, audio: AudioBatch, control: RoutingControl | None = None
    ) -> tuple[Features, dict[str, float]]:
        """Run the base encoder, the routers, and each chosen weak encoder once on its examples."""
        started = time.perf_counter()
        base = self.encode_base(audio)
        seconds = {"base_encoder": time.perf_counter() - started}
        routing = self.route(base, control)
        started = time.perf_counter()
        weak = {
            position: self.encode_weak(position, audio, rows)
            for position, rows in _chosen_rows(routing).items()
        }
        seconds["weak_encoders"] = time.perf_counter() - started
        return Features(base, routing, weak), seconds

    def encode_base(self, audio: AudioBatch) -> EncodedAudio:
        """Base frames `(batch, frames, base_dim)` and their mask."""
        rate = self.base_encoder.sample_rate
        return _encoded(self.base_encoder, audio.waveforms[rate], audio.lengths[rate])

    def route(self, base: EncodedAudio, control: RoutingControl | None = None) -> Routing:
        """The routers' decision for base frames."""
        if self.router is None:
            return NO_ROUTING
        routing: Routing = self.router(base.frames, base.mask, control)
        return routing

    def encode_weak(self, position: int, audio: AudioBatch, rows: Tensor) -> WeakFeatures:
        """Features of the weak encoder at `position` for the batch rows `(chosen,)`."""
        encoder = self.pool[position]
        rate = encoder.sample_rate
        lengths = audio.lengths[rate][rows]
        waveforms = audio.waveforms[rate][rows, : int(lengths.max())]
        frames, mask = _encoded(encoder, waveforms, lengths)
        return WeakFeatures(rows, frames, mask, encoder.frames_per_second)

    def fuse(self, features: Features) -> Tensor:
        """Fused frames `(batch, frames, base_dim + routers * weak_dim)`."""
        fused: Tensor = self.fusion(features.base.frames, features.weak, features.routing.weights)
        return fused

    def listen(self, audio: AudioBatch, control: RoutingControl | None = None) -> Heard:
        """Recordings to audio tokens; the one path of training, answers and analysis.

        Args:
            audio: The recordings at every rate of `sample_rates`.
            control: Routing overrides for this call.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        features, seconds = self.encode(audio, control)
        started = time.perf_counter()
        heard = self.adapt(features)
        seconds["adapter"] = time.perf_counter() - started
        return heard._replace(seconds=seconds)

    def adapt(self, features: Features, distort: Distort | None = None) -> Heard:
        """Encoder features to audio tokens.

        Args:
            features: What the encoders said.
            distort: Changes the fused frames `(batch, frames, dim)`, given their mask; training.
        """
        fused = self.fuse(features)
        if distort is not None:
            fused = distort(fused, features.base.mask)
        audio: AudioTokens = self.adapter(fused, features.base.mask)
        pooled = pool_frames(features.base.frames, features.base.mask)
        return Heard(audio.tokens, audio.mask, features.routing, pooled, {}, audio.notes)

    def forward(
        self, heard: Heard, prompts: Sequence[Prompt], silent: Sequence[Prompt] = ()
    ) -> Losses:
        """Next-token loss plus the weighted routing loss (paper: factor 0.1 on L_MoWE).

        Args:
            heard: Recordings as audio tokens.
            prompts: One per recording.
            silent: Further prompts, without a recording.
        """
        nothing = heard.tokens.new_zeros(0, heard.tokens.shape[-1])
        audio = [*heard.audio_tokens(), *(nothing for _ in silent)]
        next_token = self.language_model.loss([*prompts, *silent], audio)
        if self.router is None:
            return Losses(next_token, next_token, None)
        routing = routing_loss(heard.routing)
        total = next_token + self.config.routing.loss_weight * routing.total
        return Losses(total, next_token, routing)


def _encoded(encoder: AudioEncoder, waveforms: Tensor, lengths: Tensor) -> EncodedAudio:
    """Frames and mask; the graph is kept only for an encoder that is trained."""
    with nullcontext() if encoder.trained else torch.no_grad():
        encoded: EncodedAudio = encoder(waveforms, lengths)
    return encoded


def _chosen_rows(routing: Routing) -> dict[int, Tensor]:
    """Batch rows of each weak encoder that at least one example chose."""
    if not routing.weights:
        return {}
    chosen = routing.chosen
    rows = {position: column.nonzero().squeeze(1) for position, column in enumerate(chosen.T)}
    return {position: one for position, one in rows.items() if len(one)}


class ParameterCounts(NamedTuple):
    """How many parameters a mixture has; `active` is what one input passes through."""

    trained: int
    frozen: int
    active: int


def count_parameters(model: MoWEModel) -> ParameterCounts:
    """Count parameters; the largest possible choice of `top_k` per router counts as active."""
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    total = sum(one.numel() for one in model.parameters())
    sizes = sorted(
        (sum(one.numel() for one in encoder.parameters()) for encoder in model.weak_encoders),
        reverse=True,
    )
    top_k = model.config.routing.top_k or len(sizes)
    idle = sum(sizes[top_k * model.routers :])
    return ParameterCounts(trained, total - trained, total - idle)


def make_batch(recordings: Sequence[Mapping[int, Tensor]]) -> AudioBatch:
    """Pad recordings, each given as Hz -> `(samples,)`, into one batch."""
    rates = recordings[0].keys()
    pad = nn.utils.rnn.pad_sequence
    return AudioBatch(
        {rate: pad([one[rate] for one in recordings], batch_first=True) for rate in rates},
        {rate: torch.tensor([len(one[rate]) for one in recordings]) for rate in rates},
    )
