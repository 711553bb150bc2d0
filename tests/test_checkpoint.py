"""What a checkpoint holds, gives back, and refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mowe.checkpoint import COMPONENTS_FILE, MoWE, read_config, write_checkpoint
from mowe.config import NamingConfig
from mowe.errors import CheckpointError
from mowe.files import SUMS, check_sums, write_sums
from mowe.model import make_batch
from mowe.model.language_model import AUDIO_MARK, Message
from mowe.presets import TINY_RANDOM


@pytest.fixture
def model() -> MoWE:
    model = MoWE.from_preset("tiny-random", dtype=torch.float32)
    torch.manual_seed(3)
    with torch.no_grad():
        for tensor in model.trained_state().values():
            tensor.normal_(std=0.1)
    return model


def logits(model: MoWE) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    clip = {rate: 0.1 * torch.randn(rate, generator=draw) for rate in model.sample_rates}
    with torch.inference_mode():
        heard = model.listen(make_batch([clip]))
        language_model = model.language_model
        chat = [Message("user", f"{AUDIO_MARK}What is it?"), Message("assistant", "A bell.")]
        prompt = language_model.prompt(chat, [heard.tokens.shape[1]], reply=False)
        embedded = language_model.embed(prompt.ids[None], heard.audio_tokens()[0])
        return language_model.model(inputs_embeds=embedded).logits


def test_save_and_load_gives_equal_logits(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = MoWE.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(logits(model), logits(loaded))


def test_a_naming_adapter_keeps_its_names_and_the_length_of_text(tmp_path):
    known = {"events": ("rain",), "names": {"gender": ("man", "woman")}}
    adapter = NamingConfig(frames_per_token=25, residual_dim=16, **known)
    model = MoWE.from_config(replace(TINY_RANDOM, adapter=adapter), dtype=torch.float32)
    model.adapter.text_length.fill_(2.5)
    model.save_pretrained(tmp_path)
    loaded = MoWE.from_pretrained(tmp_path, dtype=torch.float32)
    assert loaded.config.adapter == adapter
    assert loaded.adapter.text_length == 2.5
    assert torch.equal(logits(model), logits(loaded))


def test_a_checkpoint_holds_only_what_was_trained(model, tmp_path):
    model.save_pretrained(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert {name.split(".")[0] for name in names} == {
        "router",
        "fusion",
        "adapter",
        "language_model",
    }
    assert all(".lora_" in name for name in names if name.startswith("language_model"))
    assert read_config(tmp_path) == model.config
    assert json.loads((tmp_path / COMPONENTS_FILE).read_text()) == {"random": "random"}
    assert (tmp_path / "README.md").is_file()


def test_shards_are_read_back(model, tmp_path, monkeypatch):
    monkeypatch.setattr("mowe.checkpoint.MAX_FILE_SIZE", "40KB")
    model.save_pretrained(tmp_path)
    shards = list(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    assert torch.equal(logits(model), logits(MoWE.from_pretrained(tmp_path, dtype=torch.float32)))
    shards[0].unlink()
    with pytest.raises(CheckpointError, match=f"lacks {shards[0].name}"):
        MoWE.from_pretrained(tmp_path)


def test_a_changed_component_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / COMPONENTS_FILE).write_text('{"random": "another"}')
    write_sums(tmp_path)
    with pytest.raises(CheckpointError, match="was trained on random with fingerprint another"):
        MoWE.from_pretrained(tmp_path)


def test_a_checkpoint_of_another_shape_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["router.independent_logits"]
    save_file(state, tmp_path / "model.safetensors")
    write_sums(tmp_path)
    with pytest.raises(CheckpointError, match=r"lacks \['router.independent_logits'\]"):
        MoWE.from_pretrained(tmp_path)


def test_a_damaged_file_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="model.safetensors of .* changed since"):
        MoWE.from_pretrained(tmp_path)
    (tmp_path / SUMS).unlink()  # as a checkpoint of an earlier version lies there
    with pytest.raises(CheckpointError, match="is damaged"):
        MoWE.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["config.json", COMPONENTS_FILE, "model.safetensors", SUMS])
def test_a_checkpoint_with_a_changed_byte_is_refused_before_anything_is_built(
    model, tmp_path, monkeypatch, name
):
    model.save_pretrained(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(MoWE, "from_config", lambda *_, **__: pytest.fail("it was built"))
    with pytest.raises(CheckpointError, match="again$"):
        MoWE.from_pretrained(tmp_path)


def test_a_checkpoint_without_sums_loads_and_says_so(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    (tmp_path / SUMS).unlink()
    loaded = MoWE.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(logits(model), logits(loaded))
    assert [one.getMessage() for one in caplog.records] == [
        f"{tmp_path.name} has no sums.json: its files are taken as they are"
    ]


def test_numbers_that_are_not_finite_are_neither_written_nor_read(model, tmp_path):
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["router.independent_logits"][0] = float("nan")
    with pytest.raises(CheckpointError, match="router.independent_logits holds numbers that are"):
        write_checkpoint(tmp_path, model.config, state)
    save_file(state, tmp_path / "model.safetensors")
    write_sums(tmp_path)
    with pytest.raises(CheckpointError, match="router.independent_logits holds numbers that are"):
        MoWE.from_pretrained(tmp_path)


def test_a_shard_outside_the_folder_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path / "one")
    folder = tmp_path / "one"
    (folder / "model.safetensors").rename(tmp_path / "stolen.safetensors")
    index = {"weight_map": {"router.independent_logits": "../stolen.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_sums(folder)
    with pytest.raises(CheckpointError, match="which is no file's name"):
        MoWE.from_pretrained(folder)


def test_the_shipped_folders_are_those_that_were_written():
    assets = Path(__file__).parents[1] / "assets"
    assert check_sums(assets / "mowe-mini", CheckpointError)
    assert check_sums(assets / "map", CheckpointError)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        MoWE.from_pretrained(tmp_path)
