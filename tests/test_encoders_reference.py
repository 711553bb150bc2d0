"""Every encoder against the program it comes from: transformers' own forward, or stored values."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize, pad
from torchaudio.functional import resample
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from mowe.config import EncoderConfig
from mowe.encoders import AudioEncoder, build_encoder

FIXTURES = Path(__file__).parent / "fixtures"
REFERENCES = json.loads((FIXTURES / "encoder_references.json").read_text(encoding="utf-8"))
COMPONENTS = {"ge2e": "speaker", "aisfx": "sound", "musicnn-mtt": "music", "fcpe": "pitch"}
SSL_SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def encoder_config(family: str, **changes) -> EncoderConfig:
    return EncoderConfig(name=family, family=family, source="random", **changes)


def clip(name: str, sample_rate: int) -> tuple[torch.Tensor, torch.Tensor]:
    samples, found_rate = soundfile.read(FIXTURES / f"{name}.ogg", dtype="float32")
    waveform = resample(torch.from_numpy(samples), found_rate, sample_rate)[None]
    return waveform, torch.tensor([waveform.shape[1]])


@pytest.fixture(scope="session")
def listener(components):
    """The named component's encoder with its real weights."""
    return lambda name: build_encoder(encoder_config(COMPONENTS[name]), components[name])


def saved_whisper(folder: Path) -> WhisperForConditionalGeneration:
    sizes = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
    tokens = {"vocab_size": 50, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1}
    config = WhisperConfig(encoder_ffn_dim=64, **sizes, **decoder, **tokens)
    whisper = WhisperForConditionalGeneration(config).eval()
    whisper.save_pretrained(folder)
    return whisper


@torch.inference_mode()
def test_padded_to_30_s_whisper_equals_transformers_own_forward(tmp_path):
    whisper = saved_whisper(tmp_path)
    encoder = build_encoder(encoder_config("whisper", window_seconds=30.0), tmp_path)
    recordings = [clip(name, 16_000)[0][0] for name in ("speech_slt_one", "music_drums_one")]
    recordings.append(torch.zeros(1600))
    features = WhisperFeatureExtractor()(
        [one.numpy() for one in recordings], sampling_rate=16_000, return_tensors="pt"
    ).input_features
    waveforms = torch.nn.utils.rnn.pad_sequence(recordings, batch_first=True)
    mel = encoder.log_mel(pad(waveforms, (0, 480_000 - waveforms.shape[1])))
    torch.testing.assert_close(mel.transpose(1, 2), features, atol=1e-4, rtol=0)

    lengths = torch.tensor([len(one) for one in recordings])
    frames, mask = encoder(waveforms, lengths)
    expected = whisper.model.encoder(features).last_hidden_state[:, : frames.shape[1]]
    torch.testing.assert_close(frames[mask], expected[mask], atol=1e-4, rtol=0)
    assert mask.sum(1).tolist() == [-(-length // 320) for length in lengths.tolist()]


@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny-en"])
@torch.inference_mode()
def test_pretrained_whisper_equals_transformers_own_forward(name, components):
    config = encoder_config("whisper", window_seconds=30.0)
    encoder = build_encoder(config, components[name])
    waveforms, lengths = clip("speech_rms_one", 16_000)
    features = WhisperFeatureExtractor()(
        waveforms[0].numpy(), sampling_rate=16_000, return_tensors="pt"
    ).input_features
    frames = encoder(waveforms, lengths).frames
    expected = encoder.stack(features).last_hidden_state[:, : frames.shape[1]]
    torch.testing.assert_close(frames, expected, atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_a_short_window_hears_nearly_what_the_padded_one_hears(components):
    waveforms, lengths = clip("speech_slt_one", 16_000)
    short, padded = (
        build_encoder(
            encoder_config("whisper", window_seconds=seconds), components["whisper-tiny-en"]
        )(waveforms, lengths).frames[0]
        for seconds in (0.0, 30.0)
    )
    assert torch.cosine_similarity(short, padded, dim=-1).mean() > 0.95


def test_whisper_refuses_more_audio_than_it_has_positions_for(tmp_path):
    saved_whisper(tmp_path)
    encoder = build_encoder(encoder_config("whisper"), tmp_path)
    with torch.inference_mode():
        assert encoder(torch.zeros(1, 480_000), torch.tensor([480_000])).frames.shape[1] == 1500
    with pytest.raises(ValueError, match="at most 30 s at a time, got 31 s"):
        encoder(torch.zeros(1, 496_000), torch.tensor([496_000]))


@torch.inference_mode()
def test_near_its_30_s_limit_whisper_still_ignores_batch_mates(tmp_path):
    saved_whisper(tmp_path)
    encoder = build_encoder(encoder_config("whisper"), tmp_path)
    waveforms, lengths = 0.1 * torch.randn(2, 480_000), torch.tensor([480_000, 478_000])
    together = encoder(waveforms, lengths).frames[1, :1494]
    alone = encoder(waveforms[1:, :478_000], lengths[1:]).frames[0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (HubertModel, HubertConfig),
        (WavLMModel, WavLMConfig),
        (Wav2Vec2Model, Wav2Vec2Config),
        (HubertForSequenceClassification, HubertConfig),
        (Wav2Vec2ForCTC, Wav2Vec2Config),
    ],
)
@torch.inference_mode()
def test_an_ssl_checkpoint_in_hub_format_gives_transformers_own_frames(
    kind, sizes, normalise, tmp_path
):
    original = kind(sizes(**SSL_SIZES, vocab_size=32)).eval()
    original.save_pretrained(tmp_path)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalise)
    extractor.save_pretrained(tmp_path)
    encoder = build_encoder(encoder_config("ssl"), tmp_path)
    waveforms, lengths = 0.1 + 0.1 * torch.randn(3, 16_000), torch.tensor([16_000, 9_000, 16_000])
    frames, mask = encoder(waveforms, lengths)
    for i, length in enumerate(lengths):
        heard = extractor(
            waveforms[i, :length].numpy(), sampling_rate=16_000, return_tensors="pt"
        ).input_values
        expected = original.base_model(heard).last_hidden_state[0]
        torch.testing.assert_close(frames[i][mask[i]], expected, atol=1e-4, rtol=0)


def test_weight_norm_under_its_older_names_is_understood(tmp_path):
    original = HubertModel(HubertConfig(**SSL_SIZES))
    original.save_pretrained(tmp_path)
    newer, older = ".conv.parametrizations.weight.original", ".conv.weight_"
    tensors = {
        key.replace(f"{newer}0", f"{older}g").replace(f"{newer}1", f"{older}v"): value
        for key, value in original.state_dict().items()
    }
    assert "encoder.pos_conv_embed.conv.weight_g" in tensors
    save_file(tensors, tmp_path / "model.safetensors")
    encoder = build_encoder(encoder_config("ssl"), tmp_path)
    loaded = encoder.network.encoder.pos_conv_embed.conv.weight
    assert torch.equal(loaded, original.encoder.pos_conv_embed.conv.weight)


def test_a_checkpoint_in_shards_is_read_whole(tmp_path):
    saved_whisper(tmp_path)
    whole = build_encoder(encoder_config("whisper"), tmp_path).state_dict()
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names, places = sorted(tensors), {}
    for shard, part in (("a.safetensors", names[::2]), ("b.safetensors", names[1::2])):
        save_file({name: tensors[name] for name in part}, tmp_path / shard)
        places |= dict.fromkeys(part, shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}), encoding="utf-8")
    sharded = build_encoder(encoder_config("whisper"), tmp_path).state_dict()
    assert all(torch.equal(value, sharded[key]) for key, value in whole.items())


@pytest.mark.parametrize("name", COMPONENTS)
@torch.inference_mode()
def test_a_weak_encoder_equals_its_original_program(name, listener):
    """To 1 % of the largest value: the cached weights are half precision, the originals single."""
    encoder, reference = listener(name), REFERENCES[name]
    frames = encoder(*clip(reference["clip"], encoder.sample_rate)).frames[0]
    every = reference["every"]
    assert len(frames) == reference["frames"]
    for ours, theirs in (
        (frames[reference["frame"], ::every], reference["values"]),
        (frames.mean(dim=0)[::every], reference["mean"]),
    ):
        expected = torch.tensor(theirs)
        tolerance = 0.01 * float(expected.abs().max())
        torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)


@torch.inference_mode()
def test_the_voice_vector_equals_the_original_programs(listener):
    encoder, reference = listener("ge2e"), REFERENCES["ge2e"]
    vector = encoder.embed(*clip(reference["clip"], encoder.sample_rate))[0]
    expected = torch.tensor(reference["embedding"])
    torch.testing.assert_close(vector[:: reference["every"]], expected, atol=2e-3, rtol=0)


@torch.inference_mode()
def test_the_pitch_of_speech_equals_the_original_programs(listener):
    encoder, reference = listener("fcpe"), REFERENCES["fcpe"]
    hertz = encoder.pitch_hz(*clip(reference["clip"], encoder.sample_rate))[0]
    expected = torch.tensor(reference["pitch_hz"])
    assert ((expected > 100) & (expected < 300)).float().mean() > 0.5  # a woman's voice
    torch.testing.assert_close(hertz[:: reference["pitch_every"]], expected, atol=0.1, rtol=0)


@torch.inference_mode()
def test_a_220_hz_tone_is_read_within_1_hz(listener):
    encoder = listener("fcpe")
    seconds = np.arange(32_000) / 16_000
    tone = torch.from_numpy(0.5 * np.sin(2 * np.pi * 220 * seconds)).float()
    waveforms = torch.stack([tone, torch.zeros(32_000), tone])
    hertz = encoder.pitch_hz(waveforms, torch.tensor([32_000, 32_000, 16_000]))
    assert hertz.shape == (3, 201)
    assert (hertz[0, 5:-5] - 220).abs().max() < 1
    assert not hertz[1].any()  # silence has no pitch
    assert (hertz[2, 5:96] - 220).abs().max() < 1
    assert not hertz[2, 101:].any()  # nor has padding


@torch.inference_mode()
def test_two_sentences_of_one_voice_are_nearer_than_two_voices(listener):
    encoder = listener("ge2e")
    names = ["slt_one", "slt_two", "rms_one", "rms_two"]
    voices = torch.cat([encoder.embed(*clip(f"speech_{name}", 16_000)) for name in names])
    cosines = voices @ voices.T
    torch.testing.assert_close(voices.norm(dim=-1), torch.ones(4))
    one_voice = min(cosines[0, 1], cosines[2, 3])
    two_voices = cosines[:2, 2:].max()
    assert one_voice > two_voices + 0.15


def nearest_by_mean_frame(encoder: AudioEncoder, names: list[str]) -> dict[str, str]:
    """For each clip the clip whose mean frame is most alike in direction."""
    means = [encoder(*clip(name, encoder.sample_rate)).frames[0].mean(dim=0) for name in names]
    vectors = normalize(torch.stack(means), dim=-1)
    cosines = (vectors @ vectors.T).fill_diagonal_(-1)
    return {name: names[int(row.argmax())] for name, row in zip(names, cosines, strict=True)}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("aisfx", ["sound_dog", "sound_rain", "music_guitar", "music_drums"]),
        ("musicnn-mtt", ["music_guitar", "music_drums", "sound_rain"]),
    ],
)
@torch.inference_mode()
def test_on_real_clips_the_nearest_neighbour_is_of_the_same_kind(name, kinds, listener):
    names = [f"{kind}_{number}" for kind in kinds for number in ("one", "two")]
    for one, nearest in nearest_by_mean_frame(listener(name), names).items():
        assert nearest.rpartition("_")[0] == one.rpartition("_")[0], f"{one} -> {nearest}"


@pytest.mark.parametrize("name", COMPONENTS)
@torch.inference_mode()
def test_with_real_weights_too_padding_and_batch_mates_change_nothing(name, listener):
    encoder = listener(name)
    kinds = ("speech_slt_one", "speech_rms_two")
    first, second = (clip(kind, encoder.sample_rate)[0][0] for kind in kinds)
    second = second[: len(second) // 2]
    waveforms = torch.nn.utils.rnn.pad_sequence([first, second], batch_first=True)
    together = encoder(waveforms, torch.tensor([len(first), len(second)]))
    alone = encoder(second[None], torch.tensor([len(second)])).frames[0]
    count = len(alone)
    assert int(together.mask[1].sum()) == count
    largest = float(alone.abs().max())
    torch.testing.assert_close(
        together.frames[1, :count] / largest, alone / largest, atol=1e-4, rtol=0
    )
