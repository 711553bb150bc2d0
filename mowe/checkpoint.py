"""Trained weights, config, component hashes and model card, to and from a folder or a hub repo.

A checkpoint holds only what was trained: routers, projections, adapter, LoRA, and what a mixture
trains of its encoders. The pretrained components are named by source and fingerprint, and a changed
component is refused. Decision 0005. `sums.json` holds the sha256 of its files.
"""

import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import huggingface_hub
import torch
from huggingface_hub import ModelHubMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mowe import weights
from mowe.config import MoWEConfig, NamingConfig, from_dict, to_dict
from mowe.encoders import EncodedAudio
from mowe.errors import CheckpointError, ConfigError, WeightsError
from mowe.files import SUMS, check_sums, read_json, tensor_files, write_json, write_sums
from mowe.hints import Hints, build_hints
from mowe.hints.heads import Heads
from mowe.hints.naming import LANGUAGE, NamingAdapter
from mowe.model import Features, Heard, MoWEModel
from mowe.model.language_model import LanguageModel
from mowe.model.routing import pool_frames
from mowe.model.tuning import cast_frozen, is_lora
from mowe.presets import preset

logger = logging.getLogger(__name__)

COMPONENTS_FILE = "components.json"
HEADS = "heads."  # how tensors of the heads of the hints begin
_AGAIN = "copy the whole checkpoint again"
MAX_FILE_SIZE = "15MB"  # so that every file stays below 16 MB
_BUILD_SEED = 0  # random components are the same in every process


def sources(config: MoWEConfig) -> tuple[str, ...]:
    """Every weight source a mixture needs, each once, in the order of the rooms."""
    encoders = (config.base_encoder, *config.pool)
    hints = filter(None, (config.hints.transcript, config.hints.activity))
    named = [*(one.source for one in encoders), *hints, config.language_model.source]
    return tuple(dict.fromkeys(named))


class MoWE(
    MoWEModel,
    ModelHubMixin,
    library_name="mowe",
    tags=["audio", "mixture-of-experts", "audio-llm"],
    paper_url="https://arxiv.org/abs/2409.06635",
    coders={MoWEConfig: (to_dict, from_dict)},
):
    """A mixture that can be loaded from a preset, a folder or a hub repo, and saved."""

    def __init__(
        self, mixture: MoWEConfig, folders: Mapping[str, Path | None] | None = None
    ) -> None:
        """See `MoWEModel`; not called `config`, which the hub mixin would rebuild by itself."""
        random_dim = mixture.base_encoder.architecture.get("d_model", 0)
        hints = build_hints(mixture.hints, folders or {}, random_dim)
        adapter = mixture.adapter
        naming = partial(_naming, adapter, hints) if isinstance(adapter, NamingConfig) else None
        super().__init__(mixture, folders, naming)
        if hints.transcriber and hints.transcriber.dim != self.base_encoder.dim:
            raise WeightsError(
                f"the decoder of {mixture.hints.transcript} hears frames of width "
                f"{hints.transcriber.dim}, those of {mixture.base_encoder.name} have "
                f"{self.base_encoder.dim}"
            )
        self.hints = hints
        rate = self.base_encoder.frames_per_second
        self.heads = Heads(self.fused_dim, rate, mixture.hints) if mixture.hints.heard else None
        self.trained = False  # whether its weights are those of a checkpoint

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes: see `MoWEModel.trained_state`; with the heads of the hints."""
        heads = {} if self.heads is None else self.heads.state_dict()
        return super().trained_state() | {f"{HEADS}{name}": one for name, one in heads.items()}

    def adapt_unnamed(self, features: Features) -> Heard:
        """`adapt` by the paper's path alone: an adapter that names puts no names among tokens."""
        if self.config.adapter.kind != "naming":
            return self.adapt(features)
        base, adapter = features.base, cast(NamingAdapter, self.adapter)
        fused = EncodedAudio(self.fuse(features), base.mask)
        audio = adapter.unnamed(*fused)
        pooled = pool_frames(base.frames, base.mask)
        return Heard(audio.tokens, audio.mask, features.routing, pooled, {}, fused, audio.notes)

    @classmethod
    def from_config(
        cls, config: MoWEConfig, *, device: str = "cpu", dtype: torch.dtype | None = None
    ) -> Self:
        """Build a mixture with its pretrained components; what is trained starts fresh.

        Args:
            config: The mixture.
            device: Where to put it.
            dtype: Dtype of the frozen components; None picks what is fast there.

        Raises:
            WeightsError: If a component cannot be fetched or verified.
        """
        folders = {source: weights.resolve(source) for source in sources(config)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_BUILD_SEED)
            model = cls(config, folders)
        place(model, device, dtype or fast_dtype(device))
        return model

    @classmethod
    def from_preset(
        cls, name: str, *, device: str = "cpu", dtype: torch.dtype | None = None
    ) -> Self:
        """Build a named mixture; see `from_config`.

        Raises:
            ConfigError: If there is no such preset.
            WeightsError: If a component cannot be fetched or verified.
        """
        return cls.from_config(preset(name), device=device, dtype=dtype)

    @classmethod
    def from_pretrained(cls, *name: Any, **settings: Any) -> Self:
        """Load a folder or a hub repo; see `ModelHubMixin.from_pretrained`.

        Raises:
            CheckpointError: If the checkpoint is incomplete, changed, or of other components.
            WeightsError: If a component cannot be fetched or verified.
        """
        try:
            return super().from_pretrained(*name, **settings)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # the mixin reads it first
            raise CheckpointError(f"config.json is not JSON: {error}; {_AGAIN}") from error

    def _save_pretrained(self, save_directory: Path) -> None:
        write_checkpoint(save_directory, self.config, self.trained_state())

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        config: dict[str, Any] | None = None,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        **unknown: Any,
    ) -> Self:
        if unknown:
            raise CheckpointError(f"from_pretrained does not take {sorted(unknown)}")
        if config is None:
            raise CheckpointError(f"{model_id} holds no config.json; it is not a MoWE checkpoint")
        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                huggingface_hub.snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                    allow_patterns=["*.json", "*.safetensors", "README.md"],
                )
            )
        state, mixture = read_trained(folder), _mixture(config, folder.name)  # sums first
        check_components(folder, mixture)
        model = cls.from_config(mixture, device=device, dtype=dtype)
        load_trained(model, state)
        model.trained = True
        return model


def write_checkpoint(folder: Path, config: MoWEConfig, state: Mapping[str, Tensor]) -> None:
    """Write trained tensors in files below 16 MB, config, components' fingerprints and sums.

    Raises:
        CheckpointError: If a tensor holds a number that is not finite.
    """
    _check_finite(state)
    whole = {name: tensor.contiguous() for name, tensor in state.items()}
    for stale in (*folder.glob("*.safetensors*"), *folder.glob(SUMS)):
        stale.unlink()
    huggingface_hub.save_torch_state_dict(whole, folder, max_shard_size=MAX_FILE_SIZE)
    fingerprints = {one: weights.fingerprint(one) for one in sources(config)}
    write_json(folder / COMPONENTS_FILE, fingerprints)
    write_json(folder / "config.json", to_dict(config))
    write_sums(folder)


def _naming(
    config: NamingConfig, hints: Hints, fused_dim: int, language_model: LanguageModel
) -> NamingAdapter:
    """The adapter that names what is heard; the decoder of transcripts tells it the language."""
    tell = None
    if config.decoded and hints.transcriber is not None:
        tell = hints.transcriber.telling(config.names[LANGUAGE])
    return NamingAdapter(fused_dim, language_model.dim, config, language_model.words, tell)


def place(model: MoWE, device: str, dtype: torch.dtype) -> None:
    """Move a mixture; frozen components take `dtype`, what is trained stays float32."""
    model.to(device)
    for encoder in (model.base_encoder, *model.pool):
        cast_frozen(encoder, dtype)
    if transcriber := model.hints.transcriber:
        if device == "cpu":
            transcriber.search.decoder.pack()
        else:
            transcriber.to(dtype)
    for name, parameter in model.language_model.named_parameters():
        wanted = torch.float32 if is_lora(name) else dtype
        parameter.data = parameter.data.to(wanted)
    model.eval()


def fast_dtype(device: str) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return (
        torch.bfloat16
        if torch.backends.mkldnn.is_available() and _cpu_has_bf16()
        else torch.float32
    )


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def read_trained(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint folder, from one file or from shards.

    Raises:
        CheckpointError: If a file of the folder is missing, changed or too many, or a number is not
            finite.
    """
    if not check_sums(folder, CheckpointError):
        logger.warning("%s has no %s: its files are taken as they are", folder.name, SUMS)
    state: dict[str, Tensor] = {}
    for path in tensor_files(folder, CheckpointError, _AGAIN):
        try:
            state |= load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{folder.name}/{path.name} is damaged: {error}") from error
    _check_finite(state)
    return state


def _check_finite(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{name} holds numbers that are not finite; take a checkpoint from before the "
                "training went wrong"
            )


@torch.no_grad()
def load_trained(model: MoWEModel, state: Mapping[str, Tensor]) -> None:
    """Copy trained tensors into a mixture, every one and nothing else.

    Raises:
        CheckpointError: If names or shapes differ, as they do for another preset.
    """
    own = model.trained_state()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        raise CheckpointError(
            f"this checkpoint does not fit preset {model.config.preset!r}: "
            f"it lacks {missing[:3]} ({len(missing)}) and holds unknown {extra[:3]} ({len(extra)})"
        )
    for name, tensor in own.items():
        if tensor.shape != state[name].shape:
            raise CheckpointError(
                f"{name} is {tuple(state[name].shape)} in the checkpoint, "
                f"{tuple(tensor.shape)} in preset {model.config.preset!r}"
            )
        tensor.copy_(state[name])


def check_components(folder: Path, config: MoWEConfig) -> None:
    """Refuse a checkpoint whose pretrained components are not the ones it was trained on.

    Raises:
        CheckpointError: If the record is missing or a fingerprint differs.
    """
    recorded = read_json(folder / COMPONENTS_FILE, CheckpointError, _AGAIN)
    for source in sources(config):
        found = weights.fingerprint(source)
        if recorded.get(source) != found:
            raise CheckpointError(
                f"{folder.name} was trained on {source} with fingerprint {recorded.get(source)}, "
                f"here it is {found}; use the components it names, or train again"
            )


def read_config(folder: Path) -> MoWEConfig:
    """The config of a checkpoint folder.

    Raises:
        CheckpointError: If there is none or it is not a mixture config.
    """
    return _mixture(read_json(folder / "config.json", CheckpointError, _AGAIN), folder.name)


def _mixture(plain: Mapping[str, Any], name: str) -> MoWEConfig:
    try:
        return from_dict(plain)
    except ConfigError as error:
        raise CheckpointError(f"the config.json of {name} is not a mixture: {error}") from error
