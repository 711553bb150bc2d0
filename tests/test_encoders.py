import math

import pytest
import torch
from safetensors.torch import save_file

from mowe import presets
from mowe.config import EncoderConfig
from mowe.encoders import FAMILIES, AudioEncoder, build_encoder
from mowe.encoders.loading import load_strictly, read_tensors
from mowe.encoders.mel import reflect_pad
from mowe.errors import ConfigError, WeightsError

WHISPER = presets.TINY_RANDOM.base_encoder.architecture
SSL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
SMALL = {
    "whisper": ("whisper", WHISPER),
    "hubert": ("ssl", {**SSL, "model_type": "hubert"}),
    "wavlm": ("ssl", {**SSL, "model_type": "wavlm"}),
    "wav2vec2": ("ssl", {**SSL, "model_type": "wav2vec2"}),
    "speaker": ("speaker", {"hidden_dim": 16}),
    "sound": ("sound", {"channels": [4, 8, 8, 16]}),
    "music": ("music", {"filters": 6, "temporal_filters": 4, "mid_filters": 5}),
    "pitch": ("pitch", {"hidden_dim": 16, "layers": 2}),
}
every_family = pytest.mark.parametrize("name", SMALL)


def small(name: str, **changes) -> AudioEncoder:
    family, architecture = SMALL[name]
    torch.manual_seed(0)
    config = EncoderConfig(
        name=name, family=family, source="random", architecture=architecture, **changes
    )
    return build_encoder(config)


def noise_batch(encoder: AudioEncoder, *seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise everywhere, also behind the examples' ends, where an encoder must not look."""
    lengths = torch.tensor([math.ceil(one * encoder.sample_rate) for one in seconds])
    return 0.1 * torch.randn(len(seconds), int(lengths.max()) + 999), lengths


def test_the_small_encoders_cover_every_family():
    assert {family for family, _ in SMALL.values()} == set(FAMILIES)


@every_family
@torch.inference_mode()
def test_an_example_does_not_depend_on_its_batch_mates_or_on_padding(name):
    encoder = small(name)
    waveforms, lengths = noise_batch(encoder, 1.0, 2.0, 1.2345, 0.1, 1.0)
    together = encoder(waveforms, lengths)
    for i, length in enumerate(lengths):
        alone = encoder(waveforms[i : i + 1, :length], lengths[i : i + 1])
        count = alone.frames.shape[1]
        assert alone.mask.all()
        assert int(together.mask[i].sum()) == count
        torch.testing.assert_close(together.frames[i, :count], alone.frames[0], atol=1e-4, rtol=0)
        assert not together.frames[i, count:].any()


@every_family
@torch.inference_mode()
def test_frames_and_mask_have_the_stated_shapes(name):
    encoder = small(name)
    frames, mask = encoder(*noise_batch(encoder, 1.0, 0.5, 1.5))
    assert frames.shape == (3, mask.shape[1], encoder.dim)
    assert mask.dtype == torch.bool
    assert mask[2].all()
    assert mask.sum(1).argsort().tolist() == [1, 0, 2]
    assert (mask.int().diff(dim=1) <= 0).all()  # real frames first, then none


@every_family
@pytest.mark.parametrize("seconds", [1.0, 3.7, 10.0])
@torch.inference_mode()
def test_frames_per_second_is_what_comes_out(name, seconds):
    encoder = small(name)
    frames = encoder(*noise_batch(encoder, seconds)).frames.shape[1]
    assert abs(frames - seconds * encoder.frames_per_second) <= 1.5


@every_family
@pytest.mark.parametrize("samples", [1, 399, 1600])
@torch.inference_mode()
def test_very_short_and_silent_input_gives_finite_frames(name, samples):
    encoder = small(name)
    frames, mask = encoder(torch.zeros(1, samples), torch.tensor([samples]))
    assert mask.all()
    assert frames.shape[1] >= 1
    assert frames.isfinite().all()


@every_family
@torch.inference_mode()
def test_in_bf16_the_frames_are_bf16_and_close(name):
    encoder = small(name)
    batch = noise_batch(encoder, 1.0, 0.7)
    exact = encoder(*batch).frames
    rounded = encoder.to(torch.bfloat16)(*batch).frames
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().mean() < 0.03 * exact.abs().mean()


@every_family
def test_training_leaves_the_encoder_in_inference_mode_but_gradients_flow(name):
    encoder = small(name).train()
    assert not any(module.training for module in encoder.modules())
    frames, _ = encoder(*noise_batch(encoder, 0.5))
    frames.float().square().sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in encoder.parameters())


@every_family
def test_saved_tensors_are_read_back_exactly(name, tmp_path):
    encoder = small(name)
    save_file(encoder.state_dict(), tmp_path / "model.safetensors")
    other = small(name)
    for weight in other.parameters():
        torch.nn.init.zeros_(weight)
    load_strictly(other, read_tensors(tmp_path), name)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (presets.PAPER_DIVERSE.base_encoder, 636.97),
        (presets.PAPER_DIVERSE.weak_encoders[0], 8.21),
        (presets.PAPER_DIVERSE.weak_encoders[2], 94.37),
        (presets.MINI.base_encoder, 20.59),
        (presets.MINI.weak_encoders[1], 1.42),
        (presets.MINI.weak_encoders[2], 4.68),
        (presets.MINI.weak_encoders[3], 0.47),
        (presets.MINI.weak_encoders[4], 10.83),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_on_meta_every_encoder_has_its_published_size(config, millions):
    with torch.device("meta"):
        encoder = build_encoder(config)
    assert all(weight.is_meta for weight in encoder.parameters())
    assert sum(weight.numel() for weight in encoder.parameters()) / 1e6 == pytest.approx(
        millions, abs=0.005
    )


def test_an_unknown_family_is_refused_with_the_known_ones():
    config = EncoderConfig(name="x", family="smell", source="random")
    with pytest.raises(ConfigError, match="'smell'; there are whisper, ssl, speaker"):
        build_encoder(config)


def test_missing_unexpected_and_misshapen_tensors_are_all_named(tmp_path):
    encoder = build_encoder(EncoderConfig(name="voice", family="speaker", source="random"))
    tensors = encoder.state_dict()
    del tensors["linear.bias"]
    tensors["linear.weight"] = torch.zeros(3, 3)
    tensors["extra"] = torch.zeros(1)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError) as refused:
        build_encoder(EncoderConfig(name="voice", family="speaker", source="random"), tmp_path)
    assert "voice" in str(refused.value)
    assert "missing linear.bias" in str(refused.value)
    assert "unexpected extra" in str(refused.value)
    assert "linear.weight is (3, 3), need (256, 256)" in str(refused.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_folder_is_refused(family, tmp_path):
    with pytest.raises(WeightsError, match="holds no|lacks model.safetensors"):
        build_encoder(EncoderConfig(name="x", family=family, source="random"), tmp_path)


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("lengths", [[0, 10], [5, 99], [5]])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths"):
        small("speaker")(torch.zeros(2, 50), torch.tensor(lengths))


def test_reflection_happens_at_each_examples_own_end():
    waveforms = torch.tensor([[1.0, 2, 3, 4, 5], [1, 2, 3, 0, 0], [7, 0, 0, 0, 0]])
    padded = reflect_pad(waveforms, torch.tensor([5, 3, 1]), before=2, after=1)
    assert padded.tolist() == [
        [3, 2, 1, 2, 3, 4, 5, 4],
        [3, 2, 1, 2, 3, 2, 0, 0],
        [0, 0, 7, 0, 0, 0, 0, 0],
    ]
