"""The command line: exit codes, pure JSON, tables, and what is said when something is wrong."""

import contextlib
import copy
import csv
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import FakeAssistant
from pyarrow import parquet

from corpus import CorpusSettings
from mowe import weights
from mowe.__main__ import main
from mowe.analysis.health.checks import Thresholds
from mowe.assistant import UNTRAINED, Assistant, Sampling, Turn
from mowe.checkpoint import MoWE, read_trained
from mowe.cli.interrupt import kept_interrupt
from mowe.cli.parser import THRESHOLDS, build_parser
from mowe.errors import WeightsError

ROOT = Path(__file__).parents[1]
RATE = 16_000  # Hz


class RoutingFake(FakeAssistant):
    """The shared fake with the door that only the command line and analysis use."""

    def route(self, recording, *, control=None):
        self.seen.append(((), Sampling(), control))
        answer = self._answer([Turn("user", "", (recording,))], Sampling(), control)
        return replace(answer, finished=True)

    def route_all(self, recordings, *, control=None, fused=False):
        return [self.route(one, control=control) for one in recordings]


@pytest.fixture
def fake():
    return RoutingFake(step_seconds=0.0)


@pytest.fixture
def run(fake, capsys):
    """Runs a command with the fake; gives exit code, standard output and standard error."""

    def run_command(*arguments, factory=lambda name: fake):
        code = main([str(one) for one in arguments], assistant_factory=factory)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def write_clip(path, seconds=1.5, hertz=440):
    times = np.arange(round(seconds * RATE)) / RATE
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * times), RATE)
    return path


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.wav")


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.wav"
    path.write_text("not a sound")
    return path


# --- ask and transcribe ---


@pytest.mark.parametrize(
    ("typed", "hints"),
    [
        ([], None),
        (["--hints", "none"], ()),
        (["--hints", "events, voice"], ("events", "voice")),
    ],
)
def test_ask_says_which_hints_are_given(run, clip, fake, typed, hints):
    assert run("ask", clip, "-q", "What is this?", *typed)[0] == 0
    assert fake.told == [hints]


def test_ask_prints_the_text_and_tells_the_rest_on_standard_error(run, clip):
    code, out, err = run("ask", clip, "-q", "What is this?")
    assert code == 0
    assert out.startswith("You asked «What is this?»")
    assert out.count("\n") == 1
    assert "16 kHz mono, used as it is." in err
    assert "whisper-tiny.en ran" in err
    assert "seed 0" in err


def test_json_is_one_object_per_file_with_everything_promised_and_nothing_else(run, tmp_path):
    files = [write_clip(tmp_path / "a.wav"), write_clip(tmp_path / "b.wav", seconds=70)]
    code, out, _ = run("ask", *files, "-q", "What?", "--json", "--seed", 7)
    lines = out.splitlines()
    first, second = (json.loads(line) for line in lines)
    assert code == 0
    assert [first["file"], second["file"]] == [str(one) for one in files]
    assert {"question", "text", "preset", "seed", "windows", "audio", "timings"} <= set(first)
    assert (first["question"], first["preset"], first["seed"]) == ("What?", "fake", 7)
    assert "embedding" not in first
    assert [(one["start"], one["end"]) for one in second["windows"]] == [
        (0, 30),
        (30, 60),
        (60, 70),
    ]
    window = first["windows"][0]
    assert {"start", "end", "independent", "dependent", "chosen", "entropy", "margin"} <= set(
        window
    )
    assert sum(window["dependent"].values()) == pytest.approx(1)
    assert window["chosen"] == ["whisper-tiny.en"]
    assert first["audio"][0]["sentence"] == "16 kHz mono, used as it is."
    assert first["timings"]["decode"] > 0
    assert first["timings"]["total"] == pytest.approx(1.2 + first["timings"]["decode"])


def test_json_stays_pure_when_streaming_and_when_a_library_prints(run, clip):
    class Chatty(RoutingFake):
        def stream(self, *arguments, **settings):
            print("loading shards 100%")
            yield from super().stream(*arguments, **settings)

    chatty = Chatty(step_seconds=0.0)
    code, out, err = run("ask", clip, "-q", "What?", "--json", "--stream", factory=lambda _: chatty)
    assert code == 0
    assert json.loads(out)["text"] in err  # the growing text went there
    assert "loading shards" in err


def test_streamed_text_equals_the_text_at_the_end(run, clip):
    whole = run("ask", clip, "-q", "What?")
    streamed = run("ask", clip, "-q", "What?", "--stream")
    assert streamed[1] == whole[1]


def test_several_files_are_separate_questions_with_a_heading_each(run, fake, tmp_path):
    files = [write_clip(tmp_path / "a.wav"), write_clip(tmp_path / "b.wav")]
    _, out, _ = run("ask", *files, "-q", "What?")
    assert [line for line in out.splitlines() if line.startswith("==")] == [
        f"== {one} ==" for one in files
    ]
    conversations = [conversation for conversation, _, _ in fake.seen]
    assert [len(one) for one in conversations] == [1, 1]
    assert [len(one[0].recordings) for one in conversations] == [1, 1]


def test_the_embedding_is_printed_when_asked_for(run, clip):
    _, out, _ = run("ask", clip, "-q", "What?", "--json", "--embedding")
    assert json.loads(out)["embedding"] == [0.0] * 8


def test_transcribe_prints_the_words_and_tells_the_times_on_standard_error(run, clip, fake):
    code, out, err = run("transcribe", clip)
    assert (code, out) == (0, "Bonjour. Au revoir.\n")
    assert "0.0-0.5 s: Bonjour." in err
    assert "French" in err
    assert fake.seen == []  # nobody asked the language model


def test_transcribe_streams_only_what_is_new(run, clip):
    assert run("transcribe", clip, "--stream")[1] == "Bonjour. Au revoir.\n"


def test_a_transcript_in_json_has_its_language_and_times(run, clip):
    code, out, _ = run("transcribe", clip, "--json", "--translate", "--language", "french")
    found = json.loads(out)
    assert (code, found["text"], found["language"]) == (0, "Good morning.", "French")
    assert found["segments"][1] == {"start": 1.0, "end": 1.5, "text": "morning."}
    assert found["file"] == str(clip)
    assert found["seconds"] > 0


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("txt", "Bonjour.\nAu revoir.\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:00,500\nBonjour.\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nBonjour.\n"),
    ],
)
def test_transcribe_prints_subtitles_and_nothing_else(run, clip, ending, words):
    assert run("transcribe", clip, "--format", ending)[1].startswith(words)


def test_a_language_that_nobody_knows_is_a_question_that_cannot_be_asked(run, clip):
    code, out, err = run("transcribe", clip, "--language", "Klingon")
    assert (code, out) == (2, "")
    assert "Klingon is not among the languages that it knows: French" in err


def test_every_sampling_and_routing_option_reaches_the_model(run, clip, fake):
    options = ["--max-new-tokens", 9, "--temperature", 0.7, "--top-p", 0.5, "--seed", 3]
    run("ask", clip, "-q", "?", *options, "--force-encoder", "sound", "--force-encoder", "music")
    _, sampling, control = fake.seen[-1]
    assert sampling == Sampling(max_new_tokens=9, temperature=0.7, top_p=0.5, seed=3)
    assert control.force == ("sound", "music")
    run("route", clip, "--mask-encoder", "pitch")
    assert fake.seen[-1][2].mask == ("pitch",)
    run("route", clip, "--dense")
    assert fake.seen[-1][2].dense
    run("route", clip, "--no-weak")
    assert fake.seen[-1][2].no_weak


def test_the_named_model_is_the_one_that_is_loaded(run, clip, fake):
    names = []
    run(
        "ask",
        clip,
        "-q",
        "?",
        "--model",
        "paper-uniform",
        factory=lambda name: names.append(name) or fake,
    )
    run("ask", clip, "-q", "?", factory=lambda name: names.append(name) or fake)
    assert names == ["paper-uniform", "mini"]


# --- what goes wrong ---


def test_a_bad_recording_does_not_stop_the_others_and_is_reported_at_the_end(
    run, clip, broken, tmp_path
):
    missing = tmp_path / "missing.wav"
    code, out, err = run("ask", broken, clip, missing, "-q", "What?", "--json")
    assert code == 3
    assert json.loads(out)["file"] == str(clip)
    report = err.splitlines()[-3:]
    assert report[0] == "2 recordings could not be used:"
    assert "broken.wav holds text" in report[1]
    assert "missing.wav does not exist" in report[2]


def test_bad_audio_alone_never_loads_the_model(run, broken):
    code, out, err = run("ask", broken, "-q", "What?", factory=lambda name: pytest.fail("loaded"))
    assert (code, out) == (3, "")
    assert err.startswith("error: broken.wav holds text; WAV, ")
    assert err.count("\n") == 1


def test_what_only_decoding_finds_is_found_before_the_model_is_loaded(run, clip):
    clip.write_bytes(clip.read_bytes()[:30])  # a header that is cut
    code, _, err = run("ask", clip, "-q", "What?", factory=lambda name: pytest.fail("loaded"))
    assert code == 3
    assert "1 recording could not be used:" in err


def test_a_missing_recording_is_told_before_the_others_are_heard(run, clip, tmp_path):
    missing = tmp_path / "missing.wav"

    class Listening(RoutingFake):
        def stream(self, *arguments, **settings):
            print("heard")  # to standard error, as everything that is no result
            yield from super().stream(*arguments, **settings)

    _, _, err = run("ask", clip, missing, "-q", "?", factory=lambda _: Listening(step_seconds=0.0))
    told = err.splitlines()
    assert told[0].startswith("error: missing.wav does not exist; ")
    assert told.index("heard") > 0
    assert told[-2] == "1 recording could not be used:"


def test_a_folder_is_no_recording_for_ask(run, tmp_path):
    code, _, err = run("ask", tmp_path, "-q", "What?")
    assert code == 3
    assert "is a folder" in err


def test_limits_are_options(run, clip):
    assert run("ask", clip, "-q", "?", "--max-seconds", 1)[0] == 3
    assert run("ask", clip, "-q", "?", "--max-bytes", 100)[0] == 3
    assert run("ask", clip, "-q", "?", "--max-seconds", -1)[0] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-q", "  "], "the question is empty"),
        (["-q", "x" * 500], "500 characters, at most 200"),
        (["-q", "?", "--temperature", "9"], "temperature must be 0 to 2"),
        (["-q", "?", "--max-new-tokens", "0"], "max_new_tokens must be 1 to 1000"),
        (["-q", "?", "--force-encoder", "bob"], "no weak encoder is called bob; fake has"),
        (["-q", "?", "--mask-encoder", "bob"], "no weak encoder is called bob; fake has"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_sentence_with_exit_code_2(run, clip, options, said):
    code, out, err = run("ask", clip, *options)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["ask", "clip.wav"],
        ["ask", "-q", "What?"],
        ["route"],
        ["ask", "c.wav", "-q", "?", "--seed", "x"],
        ["ask", "c.wav", "-q", "?", "--dense", "--no-weak"],
        ["ask", "c.wav", "-q", "?", "--hints", "transcript,smells"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def failing(error):
    def factory(name):
        raise error

    return factory


def test_missing_weights_are_exit_code_4(run, clip):
    error = WeightsError("ge2e is missing; run python -m mowe doctor --fetch")
    code, out, err = run("ask", clip, "-q", "?", "--json", factory=failing(error))
    assert (code, out) == (4, "")
    assert err == f"error: {error}\n"


@pytest.mark.parametrize("error", [OSError("no route to the hub."), ValueError("bad name\nmore")])
def test_a_model_that_cannot_be_found_is_exit_code_4_in_one_sentence(run, clip, monkeypatch, error):
    monkeypatch.setattr(MoWE, "from_pretrained", lambda *_, **__: failing(error)(""))
    code, _, err = run("ask", clip, "-q", "?", "--model", "nobody/nope", factory=None)
    assert code == 4
    assert err.startswith("error: nobody/nope cannot be loaded (")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["maxi", "base-only", "no/such/folder"])
def test_a_checkpoint_that_does_not_exist_is_exit_code_4_and_says_what_there_is(run, clip, name):
    code, out, err = run("ask", clip, "-q", "?", "--model", name, factory=None)
    assert (code, out) == (4, "")
    assert name in err
    assert "there are mini, checkpoint folders and hub repos" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--config", "none.json"],
        ["eval", "--manifest", "none.jsonl", "--out", "o.json"],
        ["report", "none.parquet", "--out", "page.html"],
        ["health", "--log", "none.jsonl"],
        ["map", "none.jsonl", "--out", "map"],
        ["export", "none", "--out", "shared"],
        ["route", "none.jsonl", "--out", "r.parquet"],
    ],
)
def test_a_missing_file_is_told_before_anything_is_loaded(run, arguments):
    code, out, err = run(*arguments, factory=lambda name: pytest.fail("loaded"))
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no ")
    assert " none" in err
    assert err.count("\n") == 1


def test_an_untrained_mixture_says_so_on_standard_error_and_in_json(run, clip):
    class Untrained(RoutingFake):
        notice = UNTRAINED

    untrained = Untrained(step_seconds=0.0)
    _, out, err = run("ask", clip, "-q", "?", "--json", factory=lambda _: untrained)
    assert err.splitlines()[0] == "note: this mixture has not been trained"
    assert json.loads(out)["notice"] == "this mixture has not been trained"


def test_export_writes_half_precision_and_replaces_only_a_checkpoint(run, tmp_path, tiny_model):
    tiny_model.save_pretrained(tmp_path / "run" / "final")
    shared = tmp_path / "shared"
    code, out, _ = run("export", tmp_path / "run", "--out", shared)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "components.json", "config.json", "model.safetensors", "sums.json",
    ]  # fmt: skip
    own, halved = tiny_model.trained_state(), read_trained(shared)
    assert own.keys() == halved.keys()
    assert {str(halved[name].dtype) for name in own if own[name].ndim} == {"torch.float16"}
    assert run("export", tmp_path / "run", "--out", shared)[0] == 0
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "model.safetensors").write_text("somebody's")
    code, _, err = run("export", tmp_path / "run", "--out", tmp_path / "notes")
    assert (code, (tmp_path / "notes" / "model.safetensors").read_text()) == (2, "somebody's")
    assert "--out needs a new folder or an earlier checkpoint, found" in err


def test_an_installed_copy_says_where_the_recipes_of_the_corpus_lie(run, tmp_path, monkeypatch):
    monkeypatch.setattr("mowe.shipped.CHECKOUT", None)
    code, _, err = run("corpus", "--out", tmp_path)
    assert code == 2
    assert err.startswith("error: the recipes of the corpus lie in the repository")


def test_unknown_sources_and_tasks_of_the_corpus_are_named_beside_the_known(run, tmp_path):
    code, _, err = run("corpus", "--out", tmp_path, "--source", "moon")
    assert code == 2
    assert "no source is called moon; there are amazon-queen" in err
    code, _, err = run("corpus", "--out", tmp_path, "--task", "sing")
    assert code == 2
    assert "no task is called sing; there are " in err


def test_ctrl_c_is_clean_and_stops_the_decoding(run, clip):
    class Interrupted(RoutingFake):
        def stream(self, *arguments, **settings):
            for number, answer in enumerate(super().stream(*arguments, **settings)):
                if number == 3:
                    raise KeyboardInterrupt
                yield answer

    fake = Interrupted(step_seconds=0.05, words=500)
    code, _, err = run("ask", clip, "-q", "?", "--stream", factory=lambda name: fake)
    assert code == 130
    assert err.splitlines()[-1] == "stopped"
    assert fake.wait_until_idle(60)
    assert fake.steps < 20


def test_a_reader_that_goes_away_is_no_traceback(fake, clip, monkeypatch, capsys):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["ask", str(clip), "-q", "?", "--json"], assistant_factory=lambda name: fake) == 1
    assert "Traceback" not in capsys.readouterr().err


# --- route ---


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "clips"
    write_clip(top / "a.wav")
    write_clip(top / "deeper" / "b.FLAC", seconds=40)
    write_clip(top / ".hidden.wav")
    (top / "notes.txt").write_text("not audio")
    (top / "odd.wav").mkdir()  # a folder whose name looks like a recording
    return top


def test_route_walks_folders_and_shows_a_table_with_a_bar_on_standard_error(run, folder):
    code, out, err = run("route", folder)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["file", "start", "end", "chosen", "entropy", "margin"]
    assert [Path(line.split()[0]).name for line in lines[2:]] == ["a.wav", "b.FLAC", "b.FLAC"]
    assert "2/2" in err
    assert "clips: 1 file with another ending left out" in err
    for number in range(8):
        (folder / f"{number}.pdf").touch()
    assert "clips: 9 files with other endings left out" in run("route", folder)[2]


def rows_of(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_route_writes_the_same_table_in_every_format(run, folder, tmp_path, ending):
    table = tmp_path / f"table{ending}"
    code, out, err = run("route", folder, "--out", table)
    assert (code, out) == (0, "")
    assert f"3 windows in table{ending}" in err
    rows = rows_of(table)
    assert [float(row["start"]) for row in rows] == [0.0, 0.0, 30.0]
    assert [float(row["end"]) for row in rows] == [1.5, 30.0, 40.0]
    assert {row["chosen"] for row in rows} == {"whisper-tiny.en"}
    for router in ("independent", "dependent"):
        shares = [float(rows[0][f"{router}_{name}"]) for name in FakeAssistant.encoder_names]
        assert sum(shares) == pytest.approx(1)
    assert rows[0]["audio"] == "16 kHz mono, used as it is."
    assert sorted(one.name for one in tmp_path.iterdir()) == ["clips", table.name]


def test_route_prints_json_objects_and_writes_the_table_too(run, folder, tmp_path):
    _, out, _ = run("route", folder, "--json", "--embedding", "--out", tmp_path / "t.jsonl")
    assert [len(json.loads(line)["windows"]) for line in out.splitlines()] == [1, 2]
    assert [len(row["embedding"]) for row in rows_of(tmp_path / "t.jsonl")] == [8, 8, 8]


def test_route_reports_bad_files_and_empty_folders_and_keeps_the_rest(
    run, folder, broken, tmp_path
):
    empty = tmp_path / "empty"
    empty.mkdir()
    table = tmp_path / "t.csv"
    code, _, err = run("route", empty, broken, folder, "--out", table)
    assert code == 3
    assert len(rows_of(table)) == 3
    assert "empty has no file ending in" in err
    assert "broken.wav holds text; WAV" in err
    assert f"[{broken}]" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "t.xlsx"], "--out ends in .parquet, .csv, .jsonl, found t.xlsx"),
        (["--out", "nowhere/t.csv"], "a folder that exists, found nowhere"),
        (["--out", "t.csv", "--embedding"], "--embedding needs a table"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused_before_any_work(run, clip, options, said):
    code, _, err = run("route", clip, *options, factory=lambda name: pytest.fail("loaded"))
    assert code == 2
    assert said in err


def test_a_killed_run_into_records_goes_on_and_writes_nothing_twice(
    run, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("mowe.cli.recorded._TOGETHER", 1)
    table = tmp_path / "records.parquet"

    class Interrupted(RoutingFake):
        def route_all(self, recordings, *, control=None, fused=False):
            if self.seen:
                raise KeyboardInterrupt
            return super().route_all(recordings, control=control, fused=fused)

    code, _, _ = run("route", folder, "--out", table, factory=lambda name: Interrupted())
    assert code == 130
    assert len(parquet.read_table(table)) == 1
    code, _, err = run("route", folder, "--out", table)
    assert code == 0
    assert "1 of 2 are in records.parquet already" in err
    rows = parquet.read_table(table).to_pylist()
    assert [(Path(row["path"]).name, row["window"], row["start"]) for row in rows] == [
        ("a.wav", 0, 0.0),
        ("b.FLAC", 0, 0.0),
        ("b.FLAC", 1, 30.0),
    ]
    found = sorted(one.name for one in tmp_path.iterdir())
    assert found == ["clips", "records.parquet", "records.parquet.sha256"]


def test_recordings_are_routed_together_up_to_five_minutes_of_them(run, tmp_path):
    for number, seconds in enumerate((200, 99, 2, 1, 400, 1)):
        write_clip(tmp_path / "clips" / f"{number}.wav", seconds=seconds)
    batches = []

    class Counting(RoutingFake):
        def route_all(self, recordings, *, control=None, fused=False):
            batches.append([one.seconds for one in recordings])
            return super().route_all(recordings, control=control, fused=fused)

    run("route", tmp_path / "clips", "--out", tmp_path / "r.parquet", factory=lambda _: Counting())
    assert batches == [[200, 99, 2], [1, 400], [1]]


def test_a_pipe_and_a_link_to_a_device_in_a_folder_cost_a_line_each(run, tmp_path):
    write_clip(tmp_path / "clips" / "good.wav")
    os.mkfifo(tmp_path / "clips" / "pipe.wav")
    (tmp_path / "clips" / "zero.wav").symlink_to("/dev/zero")
    code, _, err = run("route", tmp_path / "clips", "--out", tmp_path / "records.parquet")
    assert code == 3
    assert "pipe.wav is not a regular file" in err
    assert "zero.wav is not a regular file" in err
    assert len(parquet.read_table(tmp_path / "records.parquet")) == 1


def test_records_take_labels_from_a_manifest_and_hear_each_sound_once(run, fake, folder, tmp_path):
    def line(task, label, **part):
        said = [("user", "<audio> What is it?"), ("assistant", label)]
        messages = [{"role": role, "content": text} for role, text in said]
        return {"audio": "clips/a.wav", "task": task, "messages": messages, "label": label} | part

    lines = [line("sound", "A hum."), line("caption", "It hums."), line("sound", "x", start=0.5)]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(one) + "\n" for one in lines))
    code, _, _ = run("route", manifest, "--out", tmp_path / "r.parquet")
    rows = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert code == 0
    assert [(row["task"], row["expected"], row["start"]) for row in rows] == [
        ("sound", "A hum.", 0.0),
        ("caption", "It hums.", 0.0),
        ("sound", "x", 0.5),
    ]
    assert {row["question"] for row in rows} == {"What is it?"}
    assert len(fake.seen) == 2
    code, _, err = run("route", manifest, "--out", tmp_path / "t.csv")
    assert code == 2
    assert "--out must end in .parquet for its labels" in err


def test_what_was_routed_before_ctrl_c_is_kept(run, folder, tmp_path):
    class Interrupted(RoutingFake):
        def route(self, recording, *, control=None):
            if self.seen:
                raise KeyboardInterrupt
            return super().route(recording, control=control)

    code, _, _ = run(
        "route", folder, "--out", tmp_path / "t.csv", factory=lambda name: Interrupted()
    )
    assert code == 130
    assert len(rows_of(tmp_path / "t.csv")) == 1


# --- doctor ---


def statuses(**changes):
    good = weights.ComponentStatus(
        name="ge2e",
        source="Resemblyzer==0.1.4",
        licence="Apache-2.0",
        parameters=1_423_616,
        cached=True,
        hash_ok=True,
        note="",
    )
    return [good, replace(good, name="fcpe", **changes)]


def test_doctor_shows_components_versions_and_device(run, monkeypatch):
    monkeypatch.setattr(weights, "status", statuses)
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert "ge2e       Resemblyzer==0.1.4  Apache-2.0  1.4 M       cached  ok" in out
    for word in ("torch", "transformers", "device", "Python", "cache folder", "trained checkpoint"):
        assert word in out


@pytest.mark.parametrize(
    ("changes", "shown", "said"),
    [
        ({"cached": False, "hash_ok": None, "note": "not fetched yet"}, "missing", "is missing"),
        ({"hash_ok": False, "note": "model.safetensors changed"}, "WRONG", "fcpe changed"),
    ],
)
def test_doctor_fails_with_the_fix_when_a_component_is_wrong(
    run, monkeypatch, changes, shown, said
):
    monkeypatch.setattr(weights, "status", lambda: statuses(**changes))
    code, out, err = run("doctor")
    assert code == 4
    assert shown in out
    assert said in err
    assert "fix: python -m mowe doctor --fetch" in err


def test_doctor_notices_a_library_that_is_not_installed(run, monkeypatch):
    monkeypatch.setattr(weights, "status", statuses)
    monkeypatch.setattr("mowe.cli.doctor.PACKAGES", ("torch", "no-such-package"))
    code, out, err = run("doctor")
    assert code == 4
    assert "not installed" in out
    assert "no-such-package is not installed (fix: python -m pip install" in err


def test_doctor_fetches_before_it_looks(run, monkeypatch):
    calls = []
    monkeypatch.setattr(weights, "ensure", lambda **settings: calls.append(settings))
    monkeypatch.setattr(weights, "status", statuses)
    assert run("doctor", "--fetch")[0] == 0
    assert calls == [{"repair": True}]


def test_doctor_that_cannot_fetch_says_why(run, monkeypatch):
    monkeypatch.setattr(
        weights, "ensure", lambda **settings: failing(WeightsError("no network"))("")
    )
    code, _, err = run("doctor", "--fetch")
    assert (code, err) == (4, "error: no network\n")


def test_doctor_reads_a_real_empty_cache(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MOWE_CACHE", str(tmp_path))
    code, out, err = run("doctor")
    assert code == 4
    assert out.count("missing") == len(weights.COMPONENTS)
    assert str(tmp_path) in out


# --- the real thing ---


def program(*arguments, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mowe", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes, **settings)


HEAVY = ("torch", "numpy", "pandas", "plotly", "gradio", "transformers", "soundfile")
COMMANDS = (
    *("ask", "transcribe", "route", "train", "eval", "corpus", "report", "health", "map"),
    *("doctor", "export", "experiments", "pool", "worth", "routing-diff"),
)


def test_there_are_these_commands_and_every_one_has_a_file():
    (commands,) = [one for one in build_parser()._actions if one.dest == "command"]
    assert tuple(commands.choices) == COMMANDS
    for name in COMMANDS:
        assert callable(importlib.import_module(f"mowe.cli.{name.replace('-', '_')}").run)


def test_every_help_takes_less_than_a_second_of_processor_time_and_loads_nothing_heavy():
    lines = (
        "import sys, time, mowe.__main__ as m",
        f"for words in [[], *([one] for one in {COMMANDS})]:",
        "    try: m.main([*words, '--help'])",
        "    except SystemExit as left: assert left.code == 0",
        f"print(sorted(set({HEAVY}) & set(sys.modules)), time.process_time(), file=sys.stderr)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("usage: mowe") >= len(COMMANDS)
    loaded, seconds = done.stderr.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert float(seconds) < 1.0  # of all together, which take 0.2 s


def test_defaults_that_help_tells_are_those_of_the_code():
    told = {
        name: float(text.rsplit("(", 1)[1].rstrip(")")) for name, (_, text) in THRESHOLDS.items()
    }
    assert told == {name: getattr(Thresholds(), name) for name in told}
    corpus = build_parser().parse_args(["corpus", "--out", "x"])
    assert set(CorpusSettings.__dataclass_fields__) <= set(vars(corpus))


@pytest.mark.parametrize("text", [None, "not a sound"])
def test_a_bad_recording_ends_the_program_before_torch_is_imported(tmp_path, text):
    clip = tmp_path / "clip.wav"
    if text:
        clip.write_text(text)
    lines = (
        "import sys, mowe.__main__ as m",
        f"code = m.main(['ask', {str(clip)!r}, '-q', 'What?'])",
        "print(code, 'torch' in sys.modules)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "3 False"
    assert done.stderr.startswith("error: clip.wav ")


def test_the_program_answers_with_a_real_model(clip, broken, tmp_path):
    process = program(
        "ask", clip, broken, "-q", "What?", "--json", "--model", "tiny-random", "--untrained",
        "--max-new-tokens", 4, "--force-encoder", "sound", cwd=tmp_path,
    )  # fmt: skip
    out, err = process.communicate(timeout=120)
    answer = json.loads(out)
    assert process.returncode == 3
    assert (answer["file"], answer["preset"]) == (str(clip), "tiny-random")
    assert answer["windows"][0]["chosen"] == ["sound"]
    assert sum(answer["windows"][0]["independent"].values()) == pytest.approx(1, abs=1e-4)
    assert err.splitlines()[-2] == "1 recording could not be used:"


def test_ctrl_c_ends_the_program_without_a_traceback(tmp_path):
    long = write_clip(tmp_path / "long.wav", seconds=60)
    # A shell starts background jobs deaf to Ctrl-C, and children inherit it: undo that here.
    process = program(
        "route",
        *[long] * 100,
        "--model",
        "tiny-random",
        "--untrained",
        "--json",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    process.stdout.readline()  # the first answer has arrived, others are being made
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "stopped"
    assert time.monotonic() - started < 30


@pytest.fixture
def ctrl_c():
    """Ctrl-C as at a terminal; a job in the background is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_while_a_library_would_swallow_it():
    before, reached = signal.getsignal(signal.SIGINT), []
    with contextlib.suppress(KeyboardInterrupt), kept_interrupt() as interrupt:
        with interrupt.held():
            reached.append("reading")
        with interrupt.held():
            signal.raise_signal(signal.SIGINT)
            reached.append("still reading")
        reached.append("never")
    assert reached == ["reading", "still reading"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_raised_at_once_where_nothing_holds_it():
    with kept_interrupt(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_every_command_runs_on_a_real_tiny_model(run, clip, tiny_model, tmp_path):
    assistant = Assistant(copy.deepcopy(tiny_model))  # it folds LoRA into the weights
    asked = run(
        "ask", clip, "-q", "?", "--json", "--max-new-tokens", 3, factory=lambda _: assistant
    )
    heard = run("transcribe", clip, factory=lambda _: assistant)
    table = tmp_path / "t.parquet"
    routed = run("route", tmp_path, "--out", table, factory=lambda _: assistant)
    assert [asked[0], heard[0], routed[0]] == [0, 2, 0]
    assert "tiny-random has no decoder that writes down speech; mini has one" in heard[2]
    in_json = json.loads(asked[1])["windows"][0]["dependent"]
    in_table = parquet.read_table(table).to_pylist()[0]["dependent"]
    assert in_table == pytest.approx(list(in_json.values()), abs=1e-5)
