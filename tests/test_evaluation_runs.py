"""Whole runs with the tiny mixture: choosing, answering, going on, baselines, files, refusals."""

import json

import numpy as np
import pytest
import soundfile
import torch
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from mowe.__main__ import main
from mowe.assistant import Assistant
from mowe.audio import load_audio
from mowe.config import EncoderConfig
from mowe.data.ledger import Ledger
from mowe.data.manifest import read_manifest
from mowe.encoders import build_encoder
from mowe.errors import ConfigError, ManifestError, WeightsError
from mowe.evaluation import baselines, origin, pinned, run
from mowe.evaluation.asking import Question, choose, conversation, describe
from mowe.evaluation.baselines import find_baselines, whisper
from mowe.evaluation.baselines.cepstra import cepstra_rows, cepstral_features, cosines
from mowe.evaluation.baselines.majority import majority_rows
from mowe.evaluation.baselines.noise import like_noise
from mowe.evaluation.baselines.whisper import WhisperReader
from mowe.evaluation.suites import find_suite
from mowe.evaluation.summary import judged
from mowe.evaluation.table import MARKS, markdown
from mowe.evaluation.table import main as table_main
from mowe.evaluation.tasks import EACH, MANIFEST, SUITES, TASKS, Group, Suite, Task
from mowe.files import between_marks
from mowe.hints.decoder import WhisperDecoder
from mowe.hints.vocabulary import byte_vocabulary

BEGIN, END = MARKS
RATE = 16_000
PITCHES = {"dog bark": 200.0, "rain": 3000.0}  # Hz


ONE = {"transcribe": Task(group="other", metrics=("accuracy",))}


def line(name, task, label, split, **fields):
    answer = {"transcribe": "One two.", "caption": f"The sound of {label}."}.get(task, f"{label}.")
    messages = [
        {"role": "user", "content": "<audio> What is it?"},
        {"role": "assistant", "content": answer},
    ]
    made = {"id": f"{name}/{task}", "audio": f"{name}.wav", "task": task, "messages": messages}
    return made | {"split": split, "source": "tones", "speaker": "", "label": label} | fields


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for split, count in (("train", 6), ("dev", 2)):
        for label, pitch in PITCHES.items():
            for number in range(count):
                name = f"{split}-{label.replace(' ', '-')}-{number}"
                times = np.arange(RATE) / RATE
                tone = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * times)
                soundfile.write(tmp_path / f"{name}.wav", tone, RATE)
                lines += [line(name, task, label, split) for task in ("sound", "caption")]
                lines.append(line(name, "transcribe", "", split))
    asked = line("dev-rain-0", "presence", "yes", "dev", options=["yes", "no"])
    asked["messages"] = [
        {"role": "user", "content": "<audio> What is it?"},
        {"role": "assistant", "content": "Rain."},
        {"role": "user", "content": "Are you sure?"},
        {"role": "assistant", "content": "Yes."},
    ]
    lines.append(asked)
    text = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    chat = {"id": "c", "audio": None, "task": "chat", "messages": text, "split": "dev"}
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in [*lines, chat]))
    return path


@pytest.fixture
def tiny(tiny_model, monkeypatch):
    """A run loads the tiny mixture, and fetches nothing; the list counts what it was asked."""
    asked = []

    class Counting(Assistant):
        def stream(self, conversation, **settings):
            asked.append(conversation)
            return super().stream(conversation, **settings)

    assistant = Counting(tiny_model)
    monkeypatch.setattr(run, "load", lambda _, **__: assistant)

    def unreachable(_):
        raise WeightsError("offline")

    monkeypatch.setattr(pinned, "pinned_files", unreachable)
    return asked


def settings(manifest, **fields):
    made = {"checkpoint": "tiny-random", "manifest": manifest}
    return run.EvaluationSettings(**made | {"out": manifest.parent / "out/tiny.json"} | fields)


def arguments(manifest, *more):
    out = str(manifest.parent / "out/tiny.json")
    return ["eval", "--manifest", str(manifest), "--out", out, *more]


# --- runs ---------------------------------------------------------------------------------------


def test_a_whole_run_with_baselines(tiny, manifest, capsys):
    assert main(arguments(manifest, "--baselines", "majority,noise,cepstra")) == 0
    result = json.loads((manifest.parent / "out/tiny.json").read_text())
    assert len(result["rows"]) == 4 * 3 + 1  # the chat has no audio
    assert [one["metric"] for one in result["summary"] if one["task"] == "transcribe"] == [
        "WER", "CER",
    ]  # fmt: skip
    sure = next(row for row in result["rows"] if row["task"] == "presence")
    assert sure["turns"] == 2
    for row in result["rows"]:
        assert row["audio"].startswith("dev-")  # no folder of this machine
        assert sum(row["dependent"].values()) == pytest.approx(1, abs=1e-3)
        assert set(row["chosen"]) <= set(row["dependent"])
        assert row["seconds"] > 0
    assert result["normaliser"].endswith("without its spelling table")
    assert set(result["routing"]["usage"]) == set(result["rows"][0]["dependent"])
    scores = {
        (name, one["task"], one["metric"]): one["value"]
        for name, lines in result["baselines"].items()
        for one in lines
    }
    assert scores["cepstra", "sound", "accuracy"] == 1  # two pitches are easy
    assert scores["majority", "sound", "accuracy"] == 0.5
    assert ("noise", "sound", "accuracy") in scores
    assert ("noise", "transcribe", "WER") not in scores  # nobody guesses a transcript
    assert len(tiny) == 13 + 9  # the recordings, and noise where words could be guessed
    printed = capsys.readouterr().out
    assert printed.strip() == markdown(result).strip()
    assert printed.strip() in (manifest.parent / "out/tiny.md").read_text()
    assert not list(manifest.parent.glob("out/*.rows.jsonl"))


def test_few_questions_of_a_task_are_asked_about_noise(tiny, manifest, monkeypatch):
    monkeypatch.setattr(baselines, "GUESSES", 1)
    result = run.evaluate(settings(manifest, baselines="noise"))
    asked = {one["task"]: one["examples"] for one in result["baselines"]["noise"]}
    assert asked
    assert set(asked.values()) == {1}
    assert len(tiny) == 13 + len(asked)


def test_a_stopped_run_goes_on_where_it_was(tiny, manifest, monkeypatch):
    few = settings(manifest, limit=1)  # one of each of four tasks
    summarize = run.summarize
    monkeypatch.setattr(run, "summarize", lambda *_: 1 / 0)  # everything is answered by then
    with pytest.raises(ZeroDivisionError):
        run.evaluate(few)
    rows = manifest.parent / "out/tiny.json.rows.jsonl"
    first = rows.read_text().splitlines()
    assert len(first) == 1 + 4
    rows.write_text("\n".join([*first[:3], first[3][:20]]))  # stopped while it wrote the third
    monkeypatch.setattr(run, "summarize", summarize)
    tiny.clear()
    result = run.evaluate(few)
    assert len(tiny) == 2
    assert len(result["rows"]) == 4


def test_rows_of_another_checkpoint_are_not_taken_up(tmp_path):
    path = tmp_path / "rows.jsonl"
    Ledger(path, {"checkpoint": "a"}).add("model", {"id": "1", "answer": "x"})
    assert Ledger(path, {"checkpoint": "a"}).find("model", "1") == {"id": "1", "answer": "x"}
    assert Ledger(path, {"checkpoint": "a"}).find("noise", "1") is None
    assert len(Ledger(path, {"checkpoint": "b"})) == 0
    assert len(Ledger(path, {"checkpoint": "a"})) == 0  # b's began the file anew


def test_a_row_that_was_damaged_on_disk_is_asked_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    first = Ledger(path, {})
    for number in range(3):
        first.add("model", {"id": str(number), "answer": "rain"})
    path.write_text(path.read_text().replace("rain", "bell", 1))
    again = Ledger(path, {})
    assert [again.find("model", str(number)) is None for number in range(3)] == [True, False, False]


def test_earlier_turns_are_given_with_the_right_answers(manifest):
    example = next(one for one in read_manifest(manifest) if one.task == "presence")
    recording = load_audio(example.audio)
    turns = conversation(example, recording)
    assert [turn.text for turn in turns] == ["What is it?", "Rain.", "Are you sure?"]
    assert [turn.recordings for turn in turns] == [(recording,), (), ()]


def test_the_fingerprint_follows_what_was_trained(tiny_model):
    assistant = Assistant(tiny_model)
    first = origin.fingerprint(assistant)
    weight = next(iter(tiny_model.adapter.parameters())).data
    weight[0] += 1
    changed = origin.fingerprint(assistant)
    weight[0] -= 1
    assert first != changed
    assert len(first) == 64


# --- choosing -----------------------------------------------------------------------------------


def test_an_example_is_asked_once_and_by_the_first_group_that_fits(manifest):
    held_out = [one for one in read_manifest(manifest) if one.metadata["split"] == "dev"]
    groups = (Group("sound", "tones", 3), Group("sound", EACH, 2), Group("caption", limit=2))
    suite = Suite(groups=groups, tasks=TASKS)
    found = choose(held_out, suite, manifest.parent)
    assert [one.part for one in found] == ["tones"] * 3 + ["all sources"] * 2
    assert len({one.identity for one in found}) == 5
    assert found == choose(held_out[::-1], suite, manifest.parent)
    assert len(choose(held_out, suite, manifest.parent, tasks=["caption"], limit=9)) == 4


def test_an_even_draw_takes_as_many_of_each_label(manifest):
    sounds = [one for one in read_manifest(manifest) if one.task == "sound"]
    dogs = [one for one in sounds if one.metadata["label"] == "dog bark"]
    rare = [one for one in sounds if one not in dogs[1:]]
    suite = Suite(groups=(Group("sound", limit=2, even=True),), tasks=TASKS)
    for seed in range(5):
        found = choose(rare, suite, manifest.parent, seed=seed)
        assert {one.example.metadata["label"] for one in found} == {"rain", "dog bark"}


def test_digits_are_words_however_they_are_written():
    normalise = pinned.digit_by_digit(EnglishTextNormalizer({"colour": "color"}))
    assert normalise("Two four seven nine.") == normalise("2, 4, 7-9") == "2 4 7 9"
    assert normalise("It's the COLOUR, um!") == "it is the color"


def test_every_group_of_a_suite_asks_a_task_that_is_measured():
    for suite in SUITES.values():
        assert {group.task for group in suite.groups} == set(suite.tasks) == set(TASKS)


def test_a_manifest_of_ones_own_is_measured_by_what_its_lines_say(tiny, tmp_path):
    lines = [
        line("a", "scene", "city park", "test"),  # an unknown task with labels
        line("a", "keyword", None, "test"),  # one with nothing but a right answer
        line("a", "describe", "", "test", references=["A tone.", "A whistle."]),
        line("a", "dictation", "", "test"),
        line("a", "caption", "", "test"),  # a known one without its labels
    ]
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    path = tmp_path / "own.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    result = run.evaluate(settings(path, split="test", measures={"dictation": "WER"}))
    assert [(one["task"], one["group"], one["metric"]) for one in result["summary"]] == [
        ("caption", "AC", "METEOR"),
        ("describe", "other", "METEOR"),
        ("dictation", "other", "WER"),
        ("dictation", "other", "CER"),
        ("keyword", "other", "accuracy"),
        ("scene", "other", "accuracy"),
    ]
    labels = {row["task"]: row["label"] for row in result["rows"]}
    assert (labels["scene"], labels["keyword"]) == ("city park", "none")  # its answer's words
    assert f"| {result['meteor']} | " in markdown(result)
    assert result["meteor"].startswith("METEOR (exact, stem, ")


def test_an_answer_without_a_label_is_right_where_its_words_are(manifest):
    found = read_manifest(manifest)
    example = next(one for one in found if one.task == "transcribe")
    question = Question(example, Task(group="other", metrics=("accuracy",)), "", "a.wav")
    row = describe(question) | {"answer": "one, TWO"}
    (right,), (wrong,) = judged([row], str, ONE), judged([row | {"answer": "one"}], str, ONE)
    assert (right["correct"], wrong["correct"]) == (True, False)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (
            ["--task", "dance"],
            2,
            "no task 'dance' is measured; there are transcribe, sound, presence, caption",
        ),
        (["--suite", "huge"], 2, "no suite 'huge'; there are manifest, mini"),
        (["--measure", "dance=WER"], 2, "no task 'dance' to measure; the manifest has caption, pr"),
        (
            ["--measure", "sound=BLEU"],
            2,
            "no measure 'BLEU' of sound; there are WER, accuracy, METEOR",
        ),
        (["--baselines", "oracle"], 2, "no baseline 'oracle'; there are none, all, majority"),
        (["--limit", "0"], 2, "limit must be at least 1"),
        (["--split", "test"], 2, "holds no held-out recording for any task"),
        (["--suite", "mini", "--task", "emotion"], 2, "holds no held-out recording for emotion"),
        (["--manifest", "nowhere.jsonl"], 2, "there is no manifest nowhere.jsonl"),
    ],
)
def test_one_clear_sentence_where_a_run_cannot_be_done(tiny, manifest, capsys, more, code, said):
    assert main(arguments(manifest, *more)) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_an_empty_manifest_is_refused(tiny, manifest):
    manifest.write_text("")
    with pytest.raises(ManifestError, match="holds no example"):
        run.evaluate(settings(manifest))


# --- baselines ----------------------------------------------------------------------------------


def test_noise_has_the_length_and_level_of_what_it_replaces(manifest):
    recording = load_audio(manifest.parent / "dev-rain-0.wav")
    noise = like_noise(recording, "a")
    assert (len(noise.samples), noise.sample_rate) == (len(recording.samples), RATE)
    level = [float(np.sqrt(np.mean(one.samples**2))) for one in (recording, noise)]
    assert level[0] == pytest.approx(level[1], rel=0.02)
    assert np.array_equal(noise.samples, like_noise(recording, "a").samples)
    assert not np.array_equal(noise.samples, like_noise(recording, "b").samples)


def test_the_majority_answers_with_the_most_frequent_of_the_options(manifest):
    found = read_manifest(manifest)
    train = [one for one in found if one.metadata["split"] == "train" and one.task == "sound"]
    dev = [one for one in found if one.metadata["split"] == "dev"]
    asked = choose(dev, find_suite(MANIFEST, dev), manifest.parent, tasks=["sound", "caption"])
    rain = [one for one in train if one.metadata["label"] == "rain"]
    labels = {row["predicted"] for row in majority_rows(asked, [*train, *rain])}
    assert labels == {"rain"}
    assert len(majority_rows(asked, train)) == 4  # a caption has no label to guess


def test_the_cosine_transform_is_orthonormal_and_cepstra_hear_pitch(manifest):
    basis = cosines(40)
    assert np.allclose(basis @ basis.T, np.eye(40))
    assert np.allclose(basis[0], 40**-0.5)
    dog, rain = (
        cepstral_features(load_audio(manifest.parent / f"dev-{name}-0.wav"))
        for name in ("dog-bark", "rain")
    )
    assert dog.shape == (160,)
    assert dog[1] > rain[1]  # the first cosine is high where low bands are loud


def test_the_probe_is_left_out_where_there_is_one_label(manifest):
    found = read_manifest(manifest)
    train = [one for one in found if one.metadata["split"] == "train"]
    dev = [one for one in found if one.metadata["split"] == "dev"]
    asked = choose(dev, find_suite(MANIFEST, dev), manifest.parent, tasks=["sound"])
    rain = [one for one in train if one.metadata["label"] == "rain"]
    assert cepstra_rows(asked, rain) == []


def test_names_of_baselines():
    assert find_baselines("none") == ()
    assert "whisper-base" in find_baselines("all")
    assert find_baselines("noise, majority") == ("noise", "majority")


@pytest.fixture
def reader():
    """A Whisper with random weights that knows bytes."""
    vocabulary = byte_vocabulary()
    architecture = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2,
                    "encoder_ffn_dim": 16, "num_mel_bins": 80}  # fmt: skip
    config = EncoderConfig(name="w", family="whisper", source="random", architecture=architecture)
    decoder = WhisperDecoder(
        vocabulary=vocabulary.size, dim=16, layers=2, heads=2, inner_dim=16
    ).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=0.5)
    return WhisperReader(build_encoder(config), decoder, vocabulary)


def test_the_reader_writes_the_likeliest_allowed_token_after_each_whole_text(reader, monkeypatch):
    monkeypatch.setattr(whisper, "MAX_TOKENS", 12)
    recording = load_audio((np.random.default_rng(0).uniform(-0.1, 0.1, RATE), RATE))
    words = reader.vocabulary
    samples = torch.zeros(1, 30 * RATE)
    samples[0, :RATE] = torch.from_numpy(recording.samples)
    frames = reader.encoder(samples, torch.tensor([30 * RATE])).frames
    assert frames.shape == (1, 1500, 16)
    ids = [words.start, words.first_time - 1]  # so small a vocabulary knows English alone
    while len(ids) < 2 + 12:  # the whole text again for every token
        scores = reader.decoder(ids, 0, reader.decoder.hear(frames))[-1].clone()
        scores[[*words.never, *range(words.first_time, words.size)]] = float("-inf")
        if len(ids) == 2:
            scores[[words.blank, words.end]] = float("-inf")
        ids.append(int(scores.argmax()))
        if ids[-1] == words.end:
            break
    assert len(ids) > 3
    assert reader.read(recording) == words.text(ids[2:]).strip()


def test_a_reader_of_many_languages_is_told_that_it_hears_english(reader, monkeypatch):
    monkeypatch.setattr(whisper, "MULTILINGUAL_VOCABULARY", reader.vocabulary.size)
    words = reader.vocabulary
    told = WhisperReader(reader.encoder, reader.decoder, words)
    spoken = [words.languages["English"], words.tasks["transcribe"]]
    assert told.opening == [words.start, *spoken, words.first_time - 1]


# --- tables -------------------------------------------------------------------------------------


def test_the_table_goes_between_the_marks_of_a_page(tiny, manifest, capsys):
    run.evaluate(settings(manifest, tasks=("sound",), baselines="majority"))
    out, page = manifest.parent / "out/tiny.json", manifest.parent / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\nafter\n")
    assert table_main([str(out), "--readme", str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f"# Title\n{BEGIN}\n\n")
    assert text.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in text
    assert "| aim | measured (95 %) | reached | majority |" in text
    assert "routing: no collapse | effective number of encoders" in text
    assert "(preset tiny-random" in text
    assert table_main([str(out), "--readme", str(page)]) == 0
    assert page.read_text() == text
    page.write_text("# Title\n")
    assert table_main([str(out), "--readme", str(page)]) == 1
    assert table_main([str(page)]) == 1
    assert "page.md is not JSON" in capsys.readouterr().err


def test_marks_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match="in this order"):
        between_marks(f"{END} {BEGIN}", "x", MARKS, ConfigError)
