"""Configs refuse what cannot work, survive JSON, and the presets say what the paper says."""

import dataclasses
import json
from pathlib import Path

import pytest

from mowe.config import (
    ConvConfig,
    EncoderConfig,
    LanguageModelConfig,
    MoWEConfig,
    NamingConfig,
    RoutingConfig,
    StackConfig,
    check_source,
    from_dict,
    to_dict,
)
from mowe.errors import ConfigError
from mowe.presets import PRESETS, preset

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json_unchanged(name):
    plain = json.loads(json.dumps(to_dict(preset(name))))
    again = from_dict(plain)
    assert to_dict(again) == plain
    # not `==` on the whole: a list inside `architecture` is a list on both sides by now
    assert dataclasses.replace(again, base_encoder=preset(name).base_encoder).preset == name
    assert again.encoder_names == preset(name).encoder_names
    assert again.routing == preset(name).routing
    assert again.adapter == preset(name).adapter
    assert again.language_model == preset(name).language_model


def test_the_five_presets_are_named_as_documented():
    assert set(PRESETS) == {"mini", "paper-diverse", "paper-uniform", "base-only", "tiny-random"}
    assert all(config.preset == name for name, config in PRESETS.items())


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no preset 'maxi'.*mini.*tiny-random"):
        preset("maxi")


@pytest.mark.parametrize("name", ["paper-diverse", "paper-uniform"])
def test_paper_presets_hold_the_papers_choices(name):
    config = preset(name)
    assert config.base_encoder.source == "hub:openai/whisper-large-v3"
    assert config.language_model.source == "hub:meta-llama/Meta-Llama-3-8B-Instruct"
    assert config.pool_size == 4
    assert (config.routing.kind, config.routing.top_k) == ("both", 1)
    assert (config.routing.smoothing, config.routing.smoothing_amount) == ("as-printed", 0.1)
    assert config.routing.loss_weight == 0.1
    assert config.window_seconds * 50 / config.adapter.frames_per_token == 100  # tokens per 30 s


# what a config in JSON said of any adapter before each kind had its own fields
ONCE_SHARED = {
    "frames_per_token": 15, "hidden_dim": 2048, "residual_dim": 256, "events": [], "names": {},
    "statistics": [], "decoded": False,
}  # fmt: skip


def with_adapter(**adapter) -> MoWEConfig:
    return from_dict({**to_dict(preset("mini")), "adapter": adapter})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"kind": "stack", "hidden_dim": 8}, StackConfig(hidden_dim=8)),
        ({"kind": "conv", "frames_per_token": 8}, ConvConfig(frames_per_token=8)),
        ({"hidden_dim": 8}, StackConfig(hidden_dim=8)),
        (
            {"kind": "naming", "residual_dim": 8, "events": ["rain"], "decoded": False},
            NamingConfig(residual_dim=8, events=("rain",)),
        ),
    ],
)
def test_an_adapter_that_was_saved_with_the_fields_of_all_kinds_is_read_as_it_was(written, meant):
    assert with_adapter(**ONCE_SHARED | written).adapter == meant
    assert with_adapter(**written).adapter == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"kind": "stack", "events": ["rain"]},
            r"adapter.events is \['rain'\], which an adapter of kind 'stack' does not have: leave",
        ),
        ({"kind": "conv", "decoded": True}, "adapter.decoded is True, .* of kind 'conv'"),
        ({"kind": "naming", "hidden_dim": 512}, "adapter.hidden_dim is 512, .*of kind 'naming'"),
        ({"kind": "pool"}, "one of .*'stack', 'conv', 'naming'.*found 'pool'"),
        ({"kind": "stack", "colour": "red"}, "not a mixture config: .*'colour'"),
    ],
)
def test_what_an_adapter_of_this_kind_does_not_have_is_refused(written, message):
    with pytest.raises(ConfigError, match=message):
        with_adapter(**ONCE_SHARED | written)


def test_a_config_holds_the_fields_of_its_own_adapter_only():
    for config in (StackConfig(), ConvConfig()):
        kept = to_dict(dataclasses.replace(preset("mini"), adapter=config))["adapter"]
        assert kept == {"kind": config.kind, "frames_per_token": 15, "hidden_dim": 2048}
    assert "hidden_dim" not in to_dict(preset("mini"))["adapter"]


def test_what_was_saved_before_smooth_inference_existed_was_smoothed_in_training_only():
    plain = to_dict(preset("tiny-random"))
    assert from_dict(plain).routing.smooth_inference
    del plain["routing"]["smooth_inference"]
    assert not from_dict(plain).routing.smooth_inference


def test_the_shipped_checkpoint_is_the_mixture_of_its_preset_in_all_but_names():
    shipped = json.loads((ROOT / "assets/mowe-mini/config.json").read_text(encoding="utf-8"))
    adapter = preset("mini").adapter
    assert dataclasses.replace(from_dict(shipped), adapter=adapter) == preset("mini")


def test_the_papers_copies_of_one_encoder_are_trained():
    for name in ("paper-uniform", "paper-diverse"):
        config = preset(name)
        assert config.trains_encoders
        assert config.first_copies == (0, 1, 2, 3)


def test_the_uniform_pool_is_whisper_tiny_only_and_the_diverse_one_is_not():
    uniform = {encoder.source for encoder in preset("paper-uniform").weak_encoders}
    diverse = {encoder.source for encoder in preset("paper-diverse").weak_encoders}
    assert uniform == {"hub:openai/whisper-tiny"}
    assert len(diverse) == 3


def test_mini_needs_pinned_packages_only():
    config = preset("mini")
    parts = (config.base_encoder, *config.weak_encoders, config.language_model)
    assert all(part.source.startswith("package:") for part in parts)
    assert config.encoder_names == ("whisper-tiny.en", "speaker", "sound", "music", "pitch")


def test_base_only_is_mini_without_a_pool():
    config = preset("base-only")
    assert (config.pool_size, config.encoder_names) == (0, ())
    assert config.base_encoder == preset("mini").base_encoder
    assert config.adapter == preset("mini").adapter


def test_router_kind_none_routes_to_nobody_even_with_a_pool():
    config = preset("tiny-random")
    off = dataclasses.replace(config, routing=RoutingConfig(kind="none"))
    assert (off.pool_size, off.encoder_names) == (0, ())


@pytest.mark.parametrize("source", ["random", "package:ge2e", "hub:a/b", "hub:a/b@abc", "folder:x"])
def test_known_sources_are_accepted(source):
    assert check_source(source) is None


@pytest.mark.parametrize("source", ["", "ge2e", "package:", "http://a/b", "hub:", "random:"])
def test_other_sources_are_refused_naming_what_was_found(source):
    with pytest.raises(ConfigError, match="package:NAME"):
        check_source(source)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EncoderConfig(name="", family="ssl", source="random"), "can have, found ''"),
        (
            lambda: EncoderConfig(name="a", family="ssl", source="random", train="all"),
            "a: train must be one of .*'none', 'lora', 'full'.*found 'all'",
        ),
        (
            lambda: EncoderConfig(name="a", family="ssl", source="random", lora_rank=0),
            "a: lora_rank must be 1 or more, found 0",
        ),
        (lambda: RoutingConfig(smoothing="uniform"), "'uniform' is no longer offered: 'off'"),
        (lambda: RoutingConfig(smoothing="explore", top_k=0), "top_k 0 picks every encoder"),
        (
            lambda: EncoderConfig(name="a", family="ssl", source="random", window_seconds=31),
            "0 to 30, found 31",
        ),
        (lambda: RoutingConfig(kind="learned"), "both.*none.*found 'learned'"),
        (lambda: RoutingConfig(smoothing="a lot"), "as-printed.*found 'a lot'"),
        (lambda: RoutingConfig(top_k=-1), "found -1"),
        (lambda: RoutingConfig(smoothing_amount=1.5), "0 to 1, found 1.5"),
        (lambda: StackConfig(frames_per_token=0), "1 to 100, found 0"),
        (lambda: LanguageModelConfig(source="random", lora_rank=-4), "found -4"),
    ],
)
def test_values_out_of_range_are_refused_saying_what_was_found(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def mixture(*names: str, **routing) -> MoWEConfig:
    encoders = [
        EncoderConfig(name=name, family="ssl", source="random") for name in ("base", *names)
    ]
    return MoWEConfig(
        preset="test",
        base_encoder=encoders[0],
        weak_encoders=tuple(encoders[1:]),
        routing=RoutingConfig(**routing),
        language_model=LanguageModelConfig(source="random"),
    )


def test_two_weak_encoders_of_one_name_are_refused():
    with pytest.raises(ConfigError, match=r"found twice: \['a'\]"):
        mixture("a", "b", "a")


def test_routing_without_weak_encoders_is_refused():
    with pytest.raises(ConfigError, match="router kind must be 'none', found 'both'"):
        mixture()


def test_picking_more_encoders_than_the_pool_holds_is_refused():
    with pytest.raises(ConfigError, match="at most the pool size 2, found 3"):
        mixture("a", "b", top_k=3)


@pytest.mark.parametrize("change", [{"colour": "red"}, {"weak_dim": None, "routing": {"k": 1}}])
def test_unknown_fields_are_refused(change):
    with pytest.raises(ConfigError, match="not a mixture config"):
        from_dict({**to_dict(preset("tiny-random")), **change})


def test_a_missing_field_is_refused_by_name():
    plain = to_dict(preset("tiny-random"))
    del plain["language_model"]
    with pytest.raises(ConfigError, match="language_model"):
        from_dict(plain)


def test_a_config_cannot_be_changed_after_it_was_made():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("mini").preset = "maxi"
