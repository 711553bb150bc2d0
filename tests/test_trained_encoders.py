"""Encoders that are trained, in part or in full: what moves, what is kept, what stays frozen."""

from dataclasses import replace

import pytest
import torch
from test_model import noise, prompts_for

from mowe.checkpoint import MoWE
from mowe.config import EncoderConfig, MoWEConfig
from mowe.errors import ConfigError
from mowe.model import MoWEModel, make_batch
from mowe.model.control import RoutingControl
from mowe.presets import TINY_RANDOM

DENSE = RoutingControl(dense=True)


def mixture(**train: str) -> MoWEConfig:
    """`tiny-random` with `train` set by encoder name; `base` is the base encoder."""

    def set_up(encoder: EncoderConfig, name: str) -> EncoderConfig:
        return replace(encoder, train=train.get(name, "none"), lora_rank=2)

    names = {"whisper-weak": "weak"}
    pool = tuple(set_up(one, names.get(one.name, one.name)) for one in TINY_RANDOM.weak_encoders)
    base = set_up(TINY_RANDOM.base_encoder, "base")
    return replace(TINY_RANDOM, base_encoder=base, weak_encoders=pool)


def changed_by_two_steps(model: MoWEModel) -> set[str]:
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    model.train()
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    for step in range(2):  # LoRA's B starts at zero, so its A moves from the second step on
        heard = model.listen(make_batch([noise(1.0, 4 * step + seed) for seed in range(2)]), DENSE)
        optimizer.zero_grad()
        model(heard, prompts_for(model, heard)).total.backward()
        optimizer.step()
    return {name for name, one in model.named_parameters() if not torch.equal(one, before[name])}


@pytest.mark.parametrize(
    ("train", "room", "kind"),
    [
        ({"weak": "full"}, "weak_encoders.0.", "full"),
        ({"weak": "lora"}, "weak_encoders.0.", "lora"),
        ({"sound": "full"}, "weak_encoders.2.", "full"),
        ({"base": "lora"}, "base_encoder.", "lora"),
    ],
)
def test_a_step_changes_the_trained_part_of_a_trained_encoder_and_no_other(train, room, kind):
    model = MoWEModel(mixture(**train))
    names = {name for name, _ in model.named_parameters()}
    moved = {name for name in changed_by_two_steps(model) if "encoder" in name.split(".")[0]}
    expected = {name for name in names if name.startswith(room)}
    if kind == "lora":
        expected = {name for name in expected if ".lora_" in name}
    else:  # Whisper's positions are a fixed table
        expected -= {f"{room}stack.embed_positions.weight"}
    assert moved == expected
    assert len(moved) > 5
    assert {room + name for name in model.trained_encoders[room[:-1]].trained} == expected
    assert len(model.encoder_parameters()) == len(expected)


def test_only_trained_encoders_enter_training_mode():
    model = MoWEModel(mixture(weak="lora", sound="full")).train()
    weak, speaker, sound = model.pool
    assert (weak.training, weak.stack.training) == (True, True)
    assert sound.training
    assert not any(module.training for module in speaker.modules())
    assert not any(module.training for module in model.base_encoder.modules())
    model.eval()
    assert not any(module.training for module in model.modules())


def test_dropout_of_a_trained_encoder_is_on_in_training_and_off_in_evaluation():
    model = MoWEModel(mixture(weak="full"))
    model.pool[0].stack.layers[0].dropout = 0.5
    audio, rows = make_batch([noise(1.0, 0)]), torch.tensor([0])
    model.eval()
    first, second = (model.encode_weak(0, audio, rows).frames for _ in range(2))
    assert torch.equal(first, second)
    model.train()
    assert not torch.equal(model.encode_weak(0, audio, rows).frames, first)


@pytest.mark.parametrize("train", ["none", "lora", "full"])
def test_gradients_flow_through_an_encoder_only_where_it_is_trained(train):
    model = MoWEModel(mixture(base=train, weak=train))
    audio = make_batch([noise(1.0, 0)])
    wanted = train != "none"
    assert model.encode_base(audio).frames.requires_grad == wanted
    assert model.encode_weak(0, audio, torch.tensor([0])).frames.requires_grad == wanted
    assert not model.encode_weak(1, audio, torch.tensor([0])).frames.requires_grad
    with torch.no_grad():
        assert not model.encode_base(audio).frames.requires_grad
    assert model.config.trains_encoders == wanted
    assert bool(model.trained_encoders) == bool(model.encoder_parameters()) == wanted


@pytest.mark.parametrize("train", ["lora", "full"])
def test_what_was_trained_of_an_encoder_is_saved_and_comes_back(train, tmp_path):
    config = mixture(weak=train)
    model = MoWE.from_config(config, dtype=torch.bfloat16)
    with torch.no_grad():
        for parameter in model.encoder_parameters():
            assert parameter.dtype == torch.float32
            parameter.add_(0.1)
    model.save_pretrained(tmp_path)
    loaded = MoWE.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert loaded.config == config
    before, after = model.trained_state(), loaded.trained_state()
    assert any(name.startswith("weak_encoders.0.") for name in before)
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    audio, rows = make_batch([noise(1.0, 0)]), torch.tensor([0])
    assert torch.equal(
        model.encode_weak(0, audio, rows).frames, loaded.encode_weak(0, audio, rows).frames
    )


def test_lora_that_was_not_trained_yet_changes_nothing():
    states = []
    for train in ("none", "lora"):
        torch.manual_seed(0)
        model = MoWEModel(mixture(base=train)).eval()
        states.append(model.encode_base(make_batch([noise(1.0, 0)])).frames)
    assert torch.equal(*states)


def test_lora_is_refused_where_no_linear_layer_could_carry_it():
    with pytest.raises(ConfigError, match="sound family has no linear layers.*'none' or 'full'"):
        MoWEModel(mixture(sound="lora"))


@pytest.mark.parametrize("family", ["hubert", "wavlm", "wav2vec2"])
def test_lora_on_self_supervised_encoders_gets_a_gradient_everywhere(family):
    small = {
        "model_type": family,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [16, 16],
        "conv_stride": [20, 16],
        "conv_kernel": [20, 16],
        "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "layerdrop": 0.0,
    }
    ssl = EncoderConfig(
        name="ssl", family="ssl", source="random", architecture=small, train="lora", lora_rank=2
    )
    model = MoWEModel(replace(TINY_RANDOM, weak_encoders=(ssl,)))
    for name, parameter in model.pool[0].named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter)
    frames = model.encode_weak(0, make_batch([noise(1.0, 0)]), torch.tensor([0])).frames
    frames.square().sum().backward()
    parameters = model.encoder_parameters()
    assert len(parameters) >= 4
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in parameters)
