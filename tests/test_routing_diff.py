"""Routing as a regression test: moves by hand, and a tiny mixture whose router was changed."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from test_records import answer_of

from mowe.__main__ import main
from mowe.analysis import read_records
from mowe.analysis.routing.moves import routing_moves
from mowe.assistant import Assistant
from mowe.data.records import LabelledClip, RecordsFile
from mowe.errors import RecordsError

NAMES = ("speaker", "sound", "music")


def write_records(path: Path, chosen: dict[str, list[tuple[str, ...]]]) -> Path:
    """A records file: of each recording, who ran in its windows of up to 30 s."""
    file = RecordsFile(path, "test", NAMES)
    for name, windows in chosen.items():
        answer = answer_of(30 * len(windows))
        made = [replace(one, chosen=ran) for one, ran in zip(answer.windows, windows, strict=True)]
        labels = {"task": "sound"}
        for question in ("What?", "Who?"):  # two lines about one sound
            source = LabelledClip(Path(f"{name}.wav"), labels={**labels, "question": question})
            file.add(source, name, replace(answer, windows=tuple(made)))
    file.close()
    return path


@pytest.fixture
def pair(tmp_path):
    speaker, sound, both = ("speaker",), ("sound",), ("sound", "speaker")
    old = {"a": [speaker], "b": [both], "c": [sound, sound], "gone": [sound]}
    new = {"a": [sound], "b": [both[::-1]], "c": [sound, speaker], "new": [sound]}
    return (
        write_records(tmp_path / "old.parquet", old),
        write_records(tmp_path / "new.parquet", new),
    )


@pytest.fixture
def run(capsys):
    def command(*arguments, factory=lambda _: pytest.fail("a model was loaded")):
        words = ["routing-diff", *map(str, arguments)]
        code = main(words, assistant_factory=factory)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_moves_are_counted_by_window_once_however_many_lines_ask(pair):
    moves = routing_moves(*map(read_records, pair))
    assert (len(moves.windows), moves.unmatched) == (4, 2)
    assert moves.moved[["path", "start", "old", "new"]].to_numpy().tolist() == [
        ["a.wav", 0.0, "speaker", "sound"],
        ["c.wav", 30.0, "sound", "speaker"],
    ]
    assert moves.share == 0.5
    assert moves.counts().to_numpy().tolist() == [
        ["sound", "speaker", 1],
        ["speaker", "sound", 1],
    ]


@pytest.mark.parametrize(("allowed", "code"), [("0", 1), ("0.49", 1), ("0.5", 0), ("1", 0)])
def test_the_exit_code_says_whether_more_moved_than_allowed(run, pair, allowed, code):
    found, printed, _ = run(*pair, "--allowed", allowed)
    assert found == code
    assert printed.startswith("2 of 4 windows moved (50.0%), at most ")
    assert "2 windows are in one of the two only" in printed
    assert ["a.wav", "0.00", "30.00", "speaker", "sound"] in [
        line.split() for line in printed.splitlines()
    ]


def test_a_records_file_does_not_differ_from_itself(run, pair):
    code, printed, _ = run(pair[0], pair[0])
    assert code == 0
    assert printed == "0 of 5 windows moved (0.0%), at most 0.0% allowed.\n"


def test_records_without_a_window_in_common_are_refused(run, tmp_path):
    one = write_records(tmp_path / "1.parquet", {"a": [("sound",)]})
    other = write_records(tmp_path / "2.parquet", {"b": [("sound",)]})
    with pytest.raises(RecordsError, match="no window of a recording in common"):
        routing_moves(read_records(one), read_records(other))
    assert run(one, other)[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--allowed", "1.5"], "a share from 0 to 1, found 1.5"),
        (["--allowed", "nan"], "a share from 0 to 1, found nan"),
        (["--manifest", "old.parquet"], "leave --manifest out"),
        (["--manifest", "none.jsonl"], "there is no manifest none.jsonl"),
    ],
)
def test_options_of_no_use_are_refused(run, pair, monkeypatch, words, said):
    monkeypatch.chdir(pair[0].parent)
    code, _, err = run("old.parquet", "new.parquet", *words)
    assert code == 2
    assert said in err


def test_a_checkpoint_needs_a_manifest(run, pair):
    code, _, err = run(pair[0], "mini")
    assert code == 2
    assert "routing with mini needs --manifest" in err


@pytest.fixture
def manifest(tmp_path):
    lines = []
    for number in range(4):
        samples = 0.1 * np.random.default_rng(number).standard_normal(24_000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16_000)
        said = [("user", "<audio> What?"), ("assistant", "Noise.")]
        messages = [{"role": role, "content": text} for role, text in said]
        lines.append({"audio": f"{number}.wav", "task": "sound", "messages": messages})
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


@pytest.fixture
def factory(tiny_model):
    """`same` routes as the tiny mixture does, `changed` sends everything to its last encoder."""
    changed = copy.deepcopy(tiny_model)
    with torch.no_grad():
        changed.router.independent_logits[-1] += 100
        changed.router.dependent[-1].bias[-1] += 100
    models = {"same": copy.deepcopy(tiny_model), "changed": changed}
    return lambda name: Assistant(models[name])


def test_a_checkpoint_does_not_differ_from_itself_and_a_changed_router_does(
    run, factory, manifest, tiny_model
):
    code, printed, _ = run("same", "same", "--manifest", manifest, factory=factory)
    assert (code, printed.splitlines()[0]) == (
        0,
        "0 of 4 windows moved (0.0%), at most 0.0% allowed.",
    )
    code, printed, _ = run("same", "changed", "--manifest", manifest, factory=factory)
    assert code == 1
    assert "4 of 4 windows moved" in printed
    assert f"{tiny_model.encoder_names[-1]}" in printed


def test_records_can_be_compared_with_a_checkpoint(run, factory, manifest):
    records = manifest.with_name("old.parquet")
    words = ["route", str(manifest), "--out", str(records)]
    assert main(words, assistant_factory=lambda _: factory("same")) == 0
    assert run(records, "same", "--manifest", manifest, factory=factory)[0] == 0
    assert run(records, "changed", "--manifest", manifest, factory=factory)[0] == 1


def test_a_recording_that_cannot_be_used_is_told_once_and_the_rest_compared(run, factory, manifest):
    manifest.with_name("2.wav").write_text("not a sound")
    code, printed, err = run("same", "same", "--manifest", manifest, factory=factory)
    assert code == 3
    assert printed.startswith("0 of 3 windows moved")
    assert "1 recording could not be used" in err


def test_nothing_that_can_be_used_is_one_sentence(run, factory, manifest):
    for number in range(4):
        manifest.with_name(f"{number}.wav").write_text("not a sound")
    code, _, err = run("same", "same", "--manifest", manifest, factory=factory)
    assert code == 2
    assert "error: no recording of the manifest could be used, so none is compared" in err
