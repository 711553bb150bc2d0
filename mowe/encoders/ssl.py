"""HuBERT, WavLM and wav2vec 2.0, exactly as transformers runs them on one recording alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.errors import ConfigError, WeightsError
from mowe.files import read_json

SAMPLE_RATE = 16_000  # Hz
MODEL_TYPES = ("hubert", "wavlm", "wav2vec2")
_LANDMARK = "feature_extractor.conv_layers.0.conv.weight"
_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
_MASK_VECTOR = "masked_spec_embed"  # stands in for masked frames in pre-training; not used here
# names before and after torch moved weight normalisation to parametrizations
_WEIGHT_NORM = {
    r"\.conv\.weight_g$": ".conv.parametrizations.weight.original0",
    r"\.conv\.weight_v$": ".conv.parametrizations.weight.original1",
}


class SSLEncoder(AudioEncoder):
    """A self-supervised speech encoder from transformers; its last hidden states at 50 Hz.

    The group norm inside the base models' feature extractor sees padding, whatever the attention
    mask says. So only examples of one and the same length go through the network together.
    """

    def __init__(self, name: str, network: PreTrainedModel, normalise: bool) -> None:
        """Wrap a transformers model.

        Args:
            name: What people see.
            network: The bare HuBERT, WavLM or wav2vec 2.0 model.
            normalise: Give each recording zero mean and unit variance first, as its
                `preprocessor_config.json` says.
        """
        strides = network.config.conv_stride
        samples_per_frame = int(torch.Size(strides).numel())
        super().__init__(
            name,
            dim=network.config.hidden_size,
            frames_per_second=SAMPLE_RATE / samples_per_frame,
            sample_rate=SAMPLE_RATE,
        )
        self.network = network
        self.normalise = normalise
        # WavLM's attention reads its projections' weights and never calls them
        attention = () if network.config.model_type == "wavlm" else _ATTENTION
        self.lora_layers = (*attention, "intermediate_dense", "output_dense")
        self.min_samples = _receptive_field(network.config.conv_kernel, strides)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Last hidden states; see `AudioEncoder.encode`."""
        waveforms = functional.pad(waveforms, (0, max(0, self.min_samples - waveforms.shape[1])))
        heard = lengths.clamp_min(self.min_samples)
        counts = self.network._get_feat_extract_output_lengths(heard)
        frames = waveforms.new_zeros(
            (len(waveforms), int(counts.max()), self.dim), dtype=self.dtype
        )
        for samples in heard.unique().tolist():
            alike = heard == samples
            hidden = self._encode_alike(waveforms[alike, :samples])
            frames[alike] = functional.pad(hidden, (0, 0, 0, frames.shape[1] - hidden.shape[1]))
        return frames, counts

    def _encode_alike(self, waveforms: Tensor) -> Tensor:
        """Examples of one length, without padding: `(batch, samples)` to `(batch, frames, dim)`."""
        if self.normalise:
            variance, mean = torch.var_mean(waveforms, dim=1, keepdim=True, correction=0)
            waveforms = (waveforms - mean) / (variance + 1e-7).sqrt()
        hidden: Tensor = self.network(waveforms.to(self.dtype)).last_hidden_state
        return hidden


def build(config: EncoderConfig, folder: Path | None) -> SSLEncoder:
    """A HuBERT, WavLM or wav2vec 2.0 encoder from a hub-layout folder, or with random weights.

    Raises:
        ConfigError: If the model type is none of `MODEL_TYPES`.
        WeightsError: If the folder is incomplete or its tensors do not fit its `config.json`.
    """
    sizes = _hub_config(folder) if folder else _random_config(config.architecture)
    if sizes.model_type not in MODEL_TYPES:
        raise ConfigError(
            f"{config.name}: model_type must be one of {', '.join(MODEL_TYPES)}, "
            f"found {sizes.model_type!r}"
        )
    sizes.update({"mask_time_prob": 0.0, "mask_feature_prob": 0.0})  # leaves out _MASK_VECTOR
    if folder is None:
        return SSLEncoder(config.name, AutoModel.from_config(sizes), normalise=True)
    network = built_on_meta(lambda: AutoModel.from_config(sizes))
    tensors = read_tensors(folder, (f"{sizes.model_type}.", ""), _LANDMARK)
    load_strictly(network, _current_names(tensors), config.name)
    return SSLEncoder(config.name, network, _normalises(folder))


def _random_config(architecture: Mapping[str, Any]) -> PretrainedConfig:
    sizes = dict(architecture)
    model_type = sizes.pop("model_type", None)
    if model_type not in MODEL_TYPES:
        raise ConfigError(
            f"architecture needs a model_type out of {', '.join(MODEL_TYPES)}, found {model_type!r}"
        )
    return AutoConfig.for_model(model_type, **sizes)


def _hub_config(folder: Path) -> PretrainedConfig:
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{folder} holds no config.json; fetch the component again")
    return AutoConfig.from_pretrained(folder)


def _normalises(folder: Path) -> bool:
    """Whether this checkpoint was trained on normalised waveforms; transformers' default is yes."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return True
    return bool(read_json(path, WeightsError).get("do_normalize", True))


def _current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, value in tensors.items():
        for old, new in _WEIGHT_NORM.items():
            key = re.sub(old, new, key)
        renamed[key] = value
    renamed.pop(_MASK_VECTOR, None)
    return renamed


def _receptive_field(kernels: list[int], strides: list[int]) -> int:
    """Fewest samples that give one frame."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
