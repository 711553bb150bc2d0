"""Weights in hub layout: local folders, and a small hub of our own that speaks its protocol."""

import hashlib
import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import torch
from transformers import (
    AutoModel,
    HubertConfig,
    HubertModel,
    LlamaConfig,
    LlamaForCausalLM,
    WhisperConfig,
    WhisperModel,
)

from mowe import weights
from mowe.errors import WeightsError

SMALL_WHISPER = WhisperConfig(
    d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
    decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=64,
    max_source_positions=50, max_target_positions=20, pad_token_id=0, bos_token_id=1,
    eos_token_id=2, decoder_start_token_id=1, begin_suppress_tokens=[],
)  # fmt: skip
SMALL_HUBERT = HubertConfig(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    conv_dim=(8, 8), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
    num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
)  # fmt: skip
SMALL_LLAMA = LlamaConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, vocab_size=64, bos_token_id=1, eos_token_id=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Small random models, saved the way the hub stores them."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    WhisperModel(SMALL_WHISPER).save_pretrained(root / "whisper")
    HubertModel(SMALL_HUBERT).save_pretrained(root / "hubert")
    LlamaForCausalLM(SMALL_LLAMA).save_pretrained(root / "llama", max_shard_size="10KB")
    return {path.name: path for path in root.iterdir()}


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize("name", ["whisper", "hubert", "llama"])
def test_a_folder_in_hub_layout_is_taken_as_it_is(saved, name):
    folder = weights.resolve(f"folder:{saved[name]}")
    assert folder == saved[name]
    assert AutoModel.from_pretrained(folder).config.model_type == name


def test_the_fingerprint_of_a_folder_follows_its_tensors(saved, tmp_path):
    whole = saved["whisper"] / "model.safetensors"
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    assert weights.fingerprint(f"folder:{saved['whisper']}") == expected
    shards = sorted(saved["llama"].glob("model-*.safetensors"))
    assert len(shards) > 1
    before = weights.fingerprint(f"folder:{saved['llama']}")
    for file in saved["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert weights.fingerprint(f"folder:{tmp_path}") == before
    data = bytearray(shards[1].read_bytes())
    data[-1] ^= 1
    (tmp_path / shards[1].name).write_bytes(data)
    assert weights.fingerprint(f"folder:{tmp_path}") != before


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match="there is no folder .*nowhere"):
        weights.resolve(f"folder:{tmp_path / 'nowhere'}")


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(WeightsError, match="no model.safetensors, and pickled weights are never"):
        weights.resolve(f"folder:{tmp_path}")


def test_a_folder_without_its_config_is_refused(saved, tmp_path):
    tensors = (saved["whisper"] / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(tensors)
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        weights.resolve(f"folder:{tmp_path}")


def test_tensors_that_are_cut_off_or_incomplete_are_refused(saved, tmp_path):
    for file in saved["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-8])
    with pytest.raises(WeightsError, match=f"{shard.name} of folder .* cannot be read"):
        weights.resolve(f"folder:{tmp_path}")
    shard.unlink()
    with pytest.raises(WeightsError, match=f"lacks {shard.name}"):
        weights.resolve(f"folder:{tmp_path}")


# ---------------------------------------------------------------- a hub on this machine


def commit_of(name: str, revision: str) -> str:
    return hashlib.sha1(f"{name} {revision}".encode()).hexdigest()


class Hub(http.server.ThreadingHTTPServer):
    """Serves models by `name -> revision -> path -> content`, as huggingface_hub asks for them."""

    daemon_threads = True

    def __init__(self, models: dict[str, dict[str, dict[str, bytes]]], gated: set[str]):
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.models, self.gated = models, gated
        self.served: list[str] = []  # paths of the files that were downloaded


class HubRequest(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path).path.replace("%2F", "/").strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:4]), parts[4:])
        else:
            self.send_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def describe(self, name: str, question: list[str]):
        revisions = self.server.models.get(name)
        if revisions is None:
            self.refuse(404, "RepoNotFound")
        elif question[:1] == ["discussions"]:
            self.send_discussions(name, revisions)
        elif question[:1] == ["tree"]:
            files = self.files(name, question[1])
            self.send_json([
                {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
                for path, data in files.items()
            ])  # fmt: skip
        else:
            revision = "/".join(question[1:]) or "main"
            if revision not in revisions:
                self.refuse(404, "RevisionNotFound")
            else:
                self.send_json({"id": name, "sha": commit_of(name, revision), "siblings": []})

    def send_discussions(self, name: str, revisions: dict):
        author = parse_qs(urlsplit(self.path).query).get("author", [""])[0]
        bots = {"refs/pr/1": "stranger", "refs/pr/7": "SFconvertbot"}
        offers = {revision: by for revision, by in bots.items() if revision in revisions}
        listed = [
            {
                "title": "Adding `safetensors` variant of this model", "author": {"name": by},
                "num": int(revision.rpartition("/")[2]), "status": "open", "isPullRequest": True,
                "createdAt": "2024-01-01T00:00:00.000Z", "repo": {"name": name, "type": "model"},
            }
            for revision, by in offers.items()
            if by == author
        ]  # fmt: skip
        self.send_json({"discussions": listed, "count": len(listed), "start": 0})

    def files(self, name: str, commit: str) -> dict[str, bytes]:
        revisions = self.server.models[name]
        return next(files for rev, files in revisions.items() if commit_of(name, rev) == commit)

    def send_file(self, name: str, commit: str, path: str):
        if name in self.server.gated:
            self.refuse(403, "GatedRepo")
            return
        if self.command == "GET":
            self.server.served.append(path)
        data = self.files(name, commit)[path]
        self.answer(200, data, {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit,
        })  # fmt: skip

    def refuse(self, status: int, code: str):
        self.answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def send_json(self, content):
        self.answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]):
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


ASK = """
import json, sys
from mowe.errors import WeightsError
from mowe.weights import fingerprint, resolve
answers = {}
for source in sys.argv[1:]:
    try:
        folder = resolve(source)
        answers[source] = {
            "folder": str(folder),
            "files": sorted(path.name for path in folder.iterdir()),
            "fingerprint": fingerprint(source),
        }
    except WeightsError as error:
        answers[source] = {"error": str(error)}
print(json.dumps(answers))
"""


def ask(endpoint: str, home: Path, *sources: str, offline: bool = False) -> dict[str, dict]:
    """What `resolve` and `fingerprint` say in a process of its own, set up for this hub."""
    surroundings = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1" if offline else "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK, *sources],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def hub(saved):
    whisper, hubert, llama = (
        {path.name: path.read_bytes() for path in saved[name].iterdir()}
        for name in ("whisper", "hubert", "llama")
    )
    pickled = {"config.json": hubert["config.json"], "pytorch_model.bin": pickle.dumps({})}
    extras = {
        "README.md": b"hello",
        "modeling_custom.py": b"raise SystemExit",
        "pytorch_model.bin": pickle.dumps({}),
        "model.fp32-00001-of-00002.safetensors": b"large",
        "original/config.json": b"{}",
    }
    models = {
        "ours/whisper": {"main": {**whisper, **extras}, "v2": whisper},
        "ours/llama": {"main": llama},
        "ours/converted": {"main": pickled, "refs/pr/1": pickled, "refs/pr/7": hubert},
        "ours/pickled": {"main": pickled, "refs/pr/1": hubert},
        "ours/gated": {"main": whisper},
    }
    server = Hub(models, gated={"ours/gated"})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


SOURCES = (
    "hub:ours/whisper", "hub:ours/whisper@v2", "hub:ours/whisper@v9", "hub:ours/llama",
    "hub:ours/converted", "hub:ours/pickled", "hub:ours/pickled@refs/pr/1", "hub:ours/gated",
    "hub:ours/nothing", "hub:not an id",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("huggingface")


@pytest.fixture(scope="module")
def answers(hub, home) -> dict[str, dict]:
    return ask(f"http://127.0.0.1:{hub.server_port}", home, *SOURCES)


def test_a_hub_model_is_fetched_without_anything_that_can_hold_code(answers, hub, saved):
    answer = answers["hub:ours/whisper"]
    assert answer["files"] == ["config.json", "model.safetensors"]
    assert answer["fingerprint"] == commit_of("ours/whisper", "main")
    ours, theirs = (Path(answer["folder"]), saved["whisper"])
    tensors = "model.safetensors"
    assert (ours / tensors).read_bytes() == (theirs / tensors).read_bytes()
    assert not [path for path in hub.served if path.endswith((".bin", ".py")) or "/" in path]


def test_a_revision_and_a_sharded_model_are_fetched(answers):
    assert answers["hub:ours/whisper@v2"]["fingerprint"] == commit_of("ours/whisper", "v2")
    files = answers["hub:ours/llama"]["files"]
    assert "model.safetensors.index.json" in files
    assert sum(name.startswith("model-") for name in files) > 1


def test_a_pickled_model_comes_from_the_pull_request_of_the_hubs_own_bot(answers):
    converted = answers["hub:ours/converted"]
    assert converted["fingerprint"] == commit_of("ours/converted", "refs/pr/7")
    named = answers["hub:ours/pickled@refs/pr/1"]
    assert named["fingerprint"] == commit_of("ours/pickled", "refs/pr/1")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hub:ours/whisper@v9", ["no revision 'v9'", "the part behind @"]),
        ("hub:ours/pickled", ["has no model.safetensors", "hub:OWNER/NAME@refs/pr/N"]),
        ("hub:ours/gated", ["wants its licence accepted", "hf auth login"]),
        ("hub:ours/nothing", ["no model ours/nothing", "check the name"]),
        ("hub:not an id", ["is not a hub id, need OWNER/NAME"]),
    ],
)
def test_what_the_hub_refuses_is_an_error_that_names_the_fix(answers, source, words):
    assert [word for word in words if word not in answers[source]["error"]] == []


def test_without_the_hub_fetched_models_still_open_and_others_say_so(answers, home):
    sources = ("hub:ours/whisper", "hub:ours/unseen")
    unreachable = "http://127.0.0.1:9"  # nobody listens there
    for offline in (False, True):
        fetched, unseen = ask(unreachable, home, *sources, offline=offline).values()
        assert fetched == answers["hub:ours/whisper"]
        assert "check the network connection" in unseen["error"]
        assert "folder:PATH" in unseen["error"]
