"""The mixture of weak encoders of MoWE-Audio, arXiv 2409.06635, as we read it.

    audio --> base encoder ------------------------------> z_base  (batch, frames, base_dim)
       |         '- mean of real frames -> dependent router ----> r_dep    (batch, M)
       |              a learned vector --> independent router --> r_indep  (batch, M)
       |
       '----> only the weak encoders that a router picked, each once --> P_k(E_k(audio))

    z_indep = sum_k r_indep[k] P_k(E_k(audio))      z_dep = sum_k r_dep[k] P_k(E_k(audio))
    concat(z_base, z_indep, z_dep) --> adapter --> audio tokens --> language model with LoRA

    loss = next-token loss + 0.1 L_MoWE, L_MoWE = Eq. 7 + Eq. 8 - Eq. 9

The paper has no published code. What is ours rather than the paper's, or our reading of it:

- A pick's weight is the router's probability; it is not rescaled after top-1.
- P_k is a layer norm and a linear layer, on the base encoder's frame grid (`fusion`).
- The dependent router is a layer norm and a linear layer; the independent one starts from small
  random logits, since its entropy has no gradient where all are equal (`routing`).
- Smoothing as printed only scales a top-1 pick, so it holds at inference too; `explore` is ours.
- The adapter `stack`, and its rate of 15 frames a token (`adapter`).
- Encoders are frozen unless `train` says otherwise (`tuning`); copies of a frozen one listen once.
- Whisper encodes what is there rather than 30 s of it, unless `window_seconds` asks for that.
- Overrides of routing for people and analysis (`control`), and distorted frames while training.
- Another adapter can be handed in, with what it tells beside tokens (`notes`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mowe.config import EncoderConfig, MoWEConfig
from mowe.encoders import AudioEncoder, EncodedAudio, build_encoder
from mowe.model.adapter import AudioTokens, build_adapter
from mowe.model.batches import AudioBatch, Features, Heard, Losses
from mowe.model.control import RoutingControl, controlled
from mowe.model.fusion import Fusion, WeakFeatures
from mowe.model.language_model import LanguageModel, Prompt
from mowe.model.routing import NO_ROUTING, Router, Routing, pool_frames, routing_loss
from mowe.model.tuning import tune, warn_of_copies

Distort = Callable[[Tensor, Tensor], Tensor]
# width of fused frames and the language model, to an adapter
BuildAdapter = Callable[[int, LanguageModel], nn.Module]


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

        warn_of_copies(config)
        self._first_copies = config.first_copies
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
                smooth_inference=routing.smooth_inference,
                full_weight=routing.full_weight,
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
        self.fused_dim = base_dim + self.routers * config.weak_dim
        self.adapter = (
            adapter(self.fused_dim, self.language_model)
            if adapter
            else build_adapter(config.adapter, self.fused_dim, self.language_model.dim)
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
        weak = self.encode_pool(audio, routing.chosen_rows())
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
        return controlled(self.router, base.frames, base.mask, control)

    def encode_pool(self, audio: AudioBatch, rows: Mapping[int, Tensor]) -> dict[int, WeakFeatures]:
        """Features of the weak encoders by position; copies of one frozen encoder listen once.

        Args:
            audio: The recordings.
            rows: The batch rows of each position that listens, `(chosen,)`, ascending.
        """
        first = self._first_copies
        asked: dict[int, list[Tensor]] = {}
        for position, some in rows.items():
            asked.setdefault(first[position], []).append(some)
        heard = {
            position: self.encode_weak(position, audio, torch.cat(some).unique())
            for position, some in asked.items()
        }
        return {position: heard[first[position]].of(some) for position, some in rows.items()}

    def encode_weak(
        self, position: int, audio: AudioBatch, rows: Tensor, twin: AudioEncoder | None = None
    ) -> WeakFeatures:
        """Features of the weak encoder at `position`, or a twin's, for batch rows `(chosen,)`."""
        encoder = twin or self.pool[position]
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
        together = EncodedAudio(fused, features.base.mask)
        return Heard(audio.tokens, audio.mask, features.routing, pooled, {}, together, audio.notes)

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
