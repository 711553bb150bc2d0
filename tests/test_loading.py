"""From a name to an assistant: what is loaded, what is refused, and who says it is untrained."""

import json

import pytest
from fakes import FakeAssistant

import app as program
import mowe
from mowe import ui
from mowe.assistant import UNTRAINED
from mowe.assistant.loading import find_checkpoint
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.errors import CheckpointError, ConfigError
from mowe.shipped import CHECKPOINTS


@pytest.fixture(scope="module")
def untrained():
    return mowe.load("tiny-random", device="cpu", untrained=True)


def notices(assistant, folder) -> list[str]:
    blocks = ui.build_app(assistant, folder, folder).blocks.values()
    return [one.value for one in blocks if one.elem_id == "notice"]


def test_an_untrained_mixture_says_so_in_its_answer_in_json_and_on_the_page(
    untrained, examples, tmp_path
):
    answer = untrained.route(load_audio(examples / "dog.ogg"))
    assert UNTRAINED == "this mixture has not been trained"
    assert answer.notice == UNTRAINED
    assert json.loads(json.dumps(answer.to_dict()))["notice"] == UNTRAINED
    assert notices(untrained, tmp_path) == [f"**Note:** {UNTRAINED}."]


def test_a_checkpoint_has_nothing_to_notice_and_its_card_is_read(untrained, tmp_path):
    untrained.model.save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("# Mine")
    loaded = mowe.load(str(tmp_path / "mine"), device="cpu")
    assert (loaded.notice, loaded.card) == ("", "# Mine")
    assert notices(FakeAssistant(), tmp_path) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("maxi", "there is no checkpoint 'maxi'; there are mini, checkpoint folders and hub repos"),
        ("", "there is no checkpoint ''; there are mini"),
        ("runs/a/final", "there is no checkpoint 'runs/a/final'; there are mini"),
        (__file__, "test_loading.py'; there are mini"),
        ("base-only", "base-only is a preset without a checkpoint; there are mini, .*, base-only,"),
    ],
)
def test_a_name_without_a_checkpoint_is_an_error_that_says_what_there_is(name, said):
    with pytest.raises(CheckpointError, match=said):
        mowe.load(name)


def test_a_shipped_checkpoint_that_was_lost_is_no_random_model(monkeypatch, tmp_path):
    monkeypatch.setitem(CHECKPOINTS, "mini", tmp_path / "lost")
    with pytest.raises(CheckpointError, match="the shipped checkpoint mini is not at .*lost"):
        mowe.load("mini")


def test_random_weights_are_those_of_a_preset(tmp_path):
    with pytest.raises(ConfigError, match="no preset 'maxi'; there are mini"):
        mowe.load("maxi", untrained=True)


def test_a_folder_goes_before_the_hub():
    assert find_checkpoint("mini") == CHECKPOINTS["mini"]
    assert find_checkpoint("somebody/something") == "somebody/something"


def test_what_the_hub_says_becomes_one_sentence(monkeypatch):
    def unreachable(*_words, **_named):
        raise OSError("no route to the hub.\nmore")

    monkeypatch.setattr(MoWE, "from_pretrained", unreachable)
    with pytest.raises(CheckpointError, match=r"a/b cannot be loaded \(no route to the hub\)"):
        mowe.load("a/b")


@pytest.mark.parametrize(("variable", "asked"), [("1", True), ("0", False), ("", False)])
def test_the_app_takes_random_weights_only_where_the_environment_asks(monkeypatch, variable, asked):
    seen = {}

    def stop(name, **named):
        seen.update(named, name=name)
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "load", stop)
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    monkeypatch.setattr(program.ui, "use_private_temp_dir", lambda: None)
    monkeypatch.setenv("MOWE_MODEL", "base-only")
    monkeypatch.setenv("MOWE_UNTRAINED", variable)
    with pytest.raises(KeyboardInterrupt):
        program.main()
    assert seen == {"name": "base-only", "untrained": asked, "emotion": False}
