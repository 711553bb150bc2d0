"""Questions and composed clips: answers known by hand, and questions that give nothing away."""

import errno
import json
import random
import re
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from test_corpus import clip, source, tone

from corpus import (
    CorpusError,
    build,
    build_corpus,
    compose,
    lines,
    questions,
)
from corpus.clips import SOUND_RATE, Ask, CorpusSettings
from corpus.events import Event, Placed, find_event, levels, mix
from corpus.lines import Rendered
from corpus.prompts import keys
from corpus.sound import read_sound
from corpus.sounds import SOUNDS
from corpus.sources import SERVES, SOURCES, definitions, serves
from corpus.wording import ASKED, EMOTION, EMOTIONS, NUMBERS, TASKS
from mowe.__main__ import main
from mowe.audio.writing import write_flac
from mowe.data.manifest import AUDIO_TAG, read_manifest

LABELS = ("dog bark", "rain", "cow", "helicopter", "gunshot", "bell")
BURST = 0.3  # s


def burst(pitch, rate=SOUND_RATE):
    """A tone of 0.3 s in a second of silence."""
    sound = np.zeros(rate, np.float32)
    sound[rate // 10 : rate // 10 + round(BURST * rate)] = 0.4 * tone(BURST, rate, pitch)
    return sound


def sound_clip(number, split="train", label=None):
    chosen = label or LABELS[number % len(LABELS)]
    samples = burst(200.0 + 10 * number)
    return clip(
        f"{split}-s{number:02d}",
        load=lambda: (samples, SOUND_RATE),
        split=split,
        tasks=("sound", "caption"),
        label=chosen,
        text="",
        speaker="",
        gender="",
        language="",
        sample_rate=SOUND_RATE,
    )


def made_word(number, ending):
    return f"{'bdfgklmnp'[number % 9]}{'aeiou'[number // 9 % 5]}{ending}"


def line_clip(number, split="train"):
    first, second, third = (made_word(number, end) for end in ("rrow", "ssen", "ttim"))
    text = f"{first.capitalize()} and {second} of {split} see {third}."
    return clip(f"{split}-t{number:02d}", split=split, tasks=("transcribe", "gender"), text=text)


def everything():
    clips = [sound_clip(n, split) for split in ("train", "dev") for n in range(12)]
    clips += [line_clip(n, split) for split in ("train", "dev") for n in range(45)]
    digits = {f"{n:02d}": "".join(str((n + k) % 10) for k in range(3 + n % 3)) for n in range(12)}
    clips += [clip(f"d{n}", text=f"Digits {n}.", notes={"digits": d}) for n, d in digits.items()]
    return source(*clips)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A corpus of tones with every kind of question, its folder and its lines."""
    folder = tmp_path_factory.mktemp("corpus")
    patch = pytest.MonkeyPatch()
    patch.setitem(compose.COUNTS, "full", {"train": 100, "dev": 20, "test": 20})
    corpus = build_corpus(folder, [everything()], CorpusSettings())
    patch.undo()
    return folder, corpus.lines


def rendered(one):
    return Rendered(one, source(), f"clips/{one.name}.flac", 1.0)


def question_of(line):
    return line["messages"][-2]["content"]


# --- questions ----------------------------------------------------------------------------------


def test_yes_and_no_are_even_for_every_question(built):
    answers = defaultdict(Counter)
    for line in built[1]:
        if line["label"] in ("yes", "no") and line["options"]:
            answers[line["split"], question_of(line)][line["label"]] += 1
    assert len(answers) > 20
    assert all(found["yes"] == found["no"] for found in answers.values())


def test_a_word_that_is_not_said_and_a_sound_that_is_not_heard_are_denied(built):
    for line in built[1]:
        if line["task"] == "mention" and line["label"] in ("yes", "no"):
            word = re.search('"(.+)"', question_of(line))[1]
            assert (word in line["text"].lower()) == (line["label"] == "yes")
        heard = re.search("|".join(SOUNDS[label].noun for label in LABELS), question_of(line))
        if line["task"] == "presence" and heard:
            labels = line.get("labels") or line["id"]
            sounds = [SOUNDS[one].noun for one in LABELS if one in labels]
            if "labels" in line:
                assert (heard[0] in sounds) == (line["label"] == "yes")


def test_the_right_choice_stands_at_every_place_alike(built):
    for task, count in (("compare", 2), ("order", 2), ("mention", 3)):
        closed = [x for x in built[1] if x["task"] == task and len(x["options"]) == count]
        closed = [line for line in closed if line["label"] not in ("yes", "no")]
        places = Counter(line["options"].index(line["label"]) for line in closed)
        assert len(places) == count
        assert max(places.values()) / len(closed) < 1 / count + 0.2
        for line in closed:
            asked = question_of(line)
            nouns = [SOUNDS[x].noun if x in SOUNDS else x for x in line["options"]]
            found = [asked.rfind(noun) for noun in nouns if noun in asked]
            assert found == sorted(found)


def test_no_label_is_frequent_enough_to_guess(built):
    labels = defaultdict(Counter)
    for line in built[1]:
        if line["label"] and line["task"] not in ("unanswerable", "gender"):
            labels[line["task"], tuple(sorted(line["options"]))][line["label"]] += 1
    for (_, options), found in labels.items():
        if found.total() >= 20:
            chance = 1 / len(options) if options else 0.25
            assert found.most_common(1)[0][1] / found.total() <= chance + 0.1


def test_closed_emotion_questions_name_all_eight_in_any_order():
    angry = clip("a", emotion="angry", tasks=("emotion",))
    asks = [TASKS["emotion"].ask(angry, "emotion", np_random) for np_random in seeds(300)]
    closed = [ask for ask in asks if ask.options]
    assert 0.2 < len(closed) / len(asks) < 0.6
    places = Counter(ask.options.index("angry") for ask in closed)
    assert set(places) == set(range(8))
    assert max(places.values()) < 0.3 * len(closed)
    assert all(set(ask.options) == set(EMOTIONS) for ask in closed)
    assert {ask.turns[0][1] for ask in asks} == {"Angry."}
    disgust = TASKS["emotion"].ask(replace(angry, emotion="disgust"), "emotion", seeds(1)[0])
    assert (disgust.turns[0][1], disgust.label) == ("Disgusted.", "disgust")
    assert len(EMOTION) >= 6


def seeds(count):
    return [random.Random(seed) for seed in range(count)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Press seven to delete this message.", [("to delete this message", "seven")]),
        (
            "Press one to send this message, or two to add another recipient.",
            [("to send this message", "one"), ("to add another recipient", "two")],
        ),
        (
            "To hear the next message press six, to quit voicemail press pound.",
            [("to hear the next message", "six"), ("to quit voicemail", "pound")],
        ),
        ("Press star for help or pound to exit.", [("for help", "star"), ("to exit", "pound")]),
        ("Press one to listen to.", []),
        ("Press four or six to decrease the volume.", []),
        ("If this is correct, press.", []),
    ],
)
def test_keys_and_their_purposes_are_read_from_prompts(text, found):
    assert keys(text) == found


def test_digit_questions_agree_with_the_digits(built):
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    asked = [line for line in built[1] if line["task"] == "digits"]
    assert {line["label"] for line in asked} >= {"yes", "no"}
    for line in asked:
        said = [names[int(digit)] for digit in line["digits"]]
        if line["label"] in ("yes", "no"):
            digit = next(word for word in names if word in question_of(line))
            assert (digit in said) == (line["label"] == "yes")
        elif "ow many" in question_of(line) or "Count" in question_of(line):
            assert line["label"] == names[len(said)]
        else:
            assert line["label"] in said


def test_conversations_of_two_turns_ask_about_the_same_clip(built):
    talks = [line for line in built[1] if len(line["messages"]) == 4]
    assert talks
    for line in talks:
        tags = [AUDIO_TAG in message["content"] for message in line["messages"]]
        assert tags == [True, False, False, False]


def test_what_the_audio_leaves_open_is_not_answered(built):
    open_ = [line for line in built[1] if line["task"] == "unanswerable"]
    assert {line["label"] for line in open_} == {"cannot tell"}
    answered = {question_of(line) for line in built[1] if line["task"] in ("transcribe", "gender")}
    assert answered & {question_of(line) for line in open_}


# --- composed clips -----------------------------------------------------------------------------


def test_events_are_cut_to_the_sound_and_one_burst_is_told_from_many():
    one = find_event("a", burst(440.0), SOUND_RATE)
    assert (one.start, one.seconds, one.single) == (
        pytest.approx(0.1, abs=0.02),
        pytest.approx(BURST, abs=0.05),
        True,
    )
    two = find_event("a", np.tile(burst(440.0), 2), SOUND_RATE)
    assert (two.seconds, two.single) == (pytest.approx(one.seconds, abs=0.03), True)
    long = find_event("a", tone(4.0, SOUND_RATE), SOUND_RATE)
    assert (long.seconds, long.single) == (2.0, False)
    assert find_event("a", np.zeros(SOUND_RATE, np.float32), SOUND_RATE) is None


def test_a_mix_puts_two_tones_where_and_as_loud_as_it_says(tmp_path):
    for pitch in (440, 1320):
        write_flac(tmp_path / f"{pitch}.flac", burst(float(pitch)), SOUND_RATE)
    low, high = (Event(f"{pitch}.flac", 0.1, BURST, True) for pitch in (440, 1320))
    samples, rate = mix(tmp_path, [Placed(low, 0.5), Placed(high, 1.5, gain=-12.0)], 2.0)
    assert len(samples) == 2 * rate
    first, second = (samples[round(at * rate) :][: round(0.2 * rate)] for at in (0.55, 1.55))
    assert [peak_pitch(part, rate) for part in (first, second)] == [440, 1320]
    assert 20 * np.log10(first.std() / second.std()) == pytest.approx(12.0, abs=0.5)
    assert np.abs(samples[: rate // 3]).max() < 0.01


def peak_pitch(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples))
    return round(float(np.argmax(spectrum)) * rate / len(samples))


def bursts(samples, rate):
    loud = levels(samples, rate) > -30
    return int(loud[0]) + int(np.count_nonzero(np.diff(loud.astype(int)) == 1))


def test_what_a_composed_clip_is_asked_agrees_with_its_sound(built):
    folder, found = built
    composed = [line for line in found if line["source"] == "composed"]
    assert {line["task"] for line in composed} >= {"count", "order", "compare", "caption"}
    for line in composed:
        samples, rate = read_sound(folder / line["audio"])
        number = bursts(samples[:, 0], rate)
        counted = line["task"] == "count" and "/times-" in line["id"]
        if counted and line["counts"] == "times":
            assert line["label"] == NUMBERS[number]
        if line["task"] == "order" and line["label"].count(",") and "/row-" in line["id"]:
            assert line["label"].count(",") + 1 == number
            assert [line["label"].split(", ")[0]] == line["labels"].split(" | ")[:1]
        if line["task"] == "order" and len(line["options"]) == 2 and "/row-" in line["id"]:
            heard = line["labels"].split(" | ")
            assert line["label"] == min(line["options"], key=heard.index)


def test_composed_clips_take_their_parts_from_one_split(built):
    splits = {line["recording"]: line["split"] for line in built[1]}
    for line in built[1]:
        for part in line.get("parts", "").split(" | "):
            assert not part or splits[part] == line["split"]


def test_a_part_in_two_splits_stops_the_build():
    single = sound_clip(1)
    made = clip(
        "row", split="dev", tasks=("caption",), label="rain", notes={"parts": single.recording}
    )
    with pytest.raises(CorpusError, match="recording of train-s01' is in two splits"):
        lines.check_splits([x for one in (single, made) for x in lines.lines_of(rendered(one))])


# --- build --------------------------------------------------------------------------------------


def test_a_build_that_was_killed_ends_with_the_same_manifest(built, tmp_path, monkeypatch):
    monkeypatch.setitem(compose.COUNTS, "full", {"train": 100, "dev": 20, "test": 20})
    write, left = build.write_flac, [60]

    def die(*given):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        write(*given)

    monkeypatch.setattr(build, "write_flac", die)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(tmp_path, [everything()], CorpusSettings())
    assert not (tmp_path / "manifest.jsonl").exists()
    monkeypatch.setattr(build, "write_flac", write)
    build_corpus(tmp_path, [everything()], CorpusSettings())
    whole, resumed = (folder / "manifest.jsonl" for folder in (built[0], tmp_path))
    assert whole.read_text() == resumed.read_text()


def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_goes_on(tmp_path, monkeypatch):
    write = build.write_flac

    def full(path, *given):
        if path.name == "b.flac":
            path.with_name(path.name + ".partial").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *given)

    monkeypatch.setattr(build, "write_flac", full)
    made = source(clip("a"), clip("b"))
    with pytest.raises(OSError, match="No space left"):
        build_corpus(tmp_path, [made], CorpusSettings())
    assert [path.name for path in (tmp_path / "clips/made").iterdir()] == ["a.flac"]
    assert not (tmp_path / "manifest.jsonl").exists()
    monkeypatch.setattr(build, "write_flac", write)
    assert len(build_corpus(tmp_path, [made], CorpusSettings()).lines) >= 2


def test_the_command_line_says_in_a_sentence_that_the_disk_is_full(tmp_path, capsys, monkeypatch):
    def full(*_given, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("corpus.command.build_corpus", full)
    assert main(["corpus", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ("sing",)}, "made/a: task 'sing' is not one of transcribe"),
        ({"emotion": "bored"}, "made/a: emotion 'bored' is not one of"),
        ({"label": "kazoo"}, "made/a: label 'kazoo' is not one of"),
        ({"tasks": ("sound",)}, "made/a: nothing answers the task 'sound'"),
        ({"split": "eval"}, "made/a: split 'eval' is not one of train, dev, test"),
        ({"asks": (Ask(task="sing", turns=(("a", "b"),), label=""),)}, "task 'sing'"),
    ],
)
def test_labels_nobody_has_words_for_are_refused_by_name(tmp_path, change, message):
    with pytest.raises(CorpusError, match=message):
        build_corpus(tmp_path, [source(clip("a", **change))], CorpusSettings())


def test_a_source_without_a_licence_is_refused(tmp_path):
    bad = source(clip("a"), name="bad", licence="")
    corpus = build_corpus(tmp_path, [bad, source(clip("b"))], CorpusSettings())
    assert {line["source"] for line in corpus.lines} == {"made"}
    assert corpus.skipped["bad"].startswith("bad/a: a licence")
    assert not (tmp_path / "clips/bad").exists()


def test_a_damaged_source_is_left_out_in_a_sentence(tmp_path):
    def damaged(_materials):
        yield clip("a")
        raise ValueError("buffer is too small")

    corpus = build_corpus(
        tmp_path, [source(name="torn", read=damaged), source(clip("b"))], CorpusSettings()
    )
    assert "buffer is too small" in corpus.skipped["torn"]


def test_very_short_clips_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    made = source(clip("a"), clip("b", seconds=0.05), seconds=(0.0, 30.0))
    found = build_corpus(tmp_path, [made], CorpusSettings()).lines
    assert not any("made/b/" in line["id"] for line in found)
    assert "1 of 2 clips kept; 1 shorter than 0.1 s" in caplog.text


def test_a_small_corpus_keeps_a_few_clips_of_each_person(tmp_path):
    people = [clip(f"{n:03d}", speaker=f"p{n % 2}", text=f"Line {n}.") for n in range(100)]
    found = build_corpus(tmp_path, [source(*people)], CorpusSettings(size="small")).lines
    spoken = [line["speaker"] for line in found if line["id"].endswith("/transcribe")]
    assert Counter(spoken) == {"p0": 40, "p1": 40}


def test_only_the_wanted_tasks_are_kept_and_only_their_sources_read(tmp_path):
    made = source(*(sound_clip(n) for n in range(4)))
    found = build_corpus(tmp_path, [made], CorpusSettings(), tasks=("caption",)).lines
    assert {line["task"] for line in found} == {"caption"}
    assert serves("definitions", ["chat"])
    assert not serves("definitions", ["order"])
    assert set(SERVES) == set(SOURCES)
    assert {task for tasks in SERVES.values() for task in tasks} <= {*TASKS, *ASKED}


def test_words_are_defined_in_text_alone_and_valid_in_the_manifest(tmp_path):
    rows = [
        '0001 04 n 01 river 0 000 | a large natural stream of water; "the river was wide"',
        '0002 04 n 01 garden 0 000 | a plot of ground with plants; "a garden party"',
        "0003 04 n 01 river 1 000 | something else that nobody means",
    ]
    (tmp_path / "data.noun").write_text("\n".join(rows))
    counts = ["river%1:04:00:: 1 9", "river%1:04:01:: 2 1", "garden%1:04:00:: 1 3"]
    (tmp_path / "cntlist.rev").write_text("\n".join(counts))
    entries = definitions.read_entries(tmp_path)
    assert [(entry.word, entry.definition) for entry in entries] == [
        ("garden", "A plot of ground with plants."),
        ("river", "A large natural stream of water."),
    ]
    assert entries[1].example == "The river was wide."
    chat = Ask(task="chat", turns=(("Define it.", entries[1].definition),), label="definition")
    text = clip("w", tasks=(), asks=(chat,), text="", load=definitions.without_sound)
    build_corpus(tmp_path / "out", [source(text, clip("a"))], CorpusSettings())
    examples = read_manifest(tmp_path / "out/manifest.jsonl")
    silent = [example for example in examples if example.audio is None]
    assert [example.messages[0] for example in silent] == [("user", "Define it.")]
    assert silent[0].clip == ("", 0.0, None)


def test_the_card_names_licences_tasks_and_what_is_non_commercial(tmp_path):
    acted = source(clip("b", text="Other words."), name="acted", licence="CC BY-NC-SA 4.0")
    build_corpus(tmp_path, [source(clip("a")), acted], CorpusSettings())
    card = (tmp_path / "CORPUS.md").read_text()
    assert "Non-commercial: acted." in card
    assert "| transcribe | train | 2 |  |  |" in card


def test_a_manifest_lists_labels_and_options_as_the_question_has_them(built):
    for line in map(json.loads, (built[0] / "manifest.jsonl").read_text().splitlines()):
        assert isinstance(line["accept"], list)
        assert not line["options"] or line["label"] in line["options"]
        assert line["messages"][-1]["content"] not in line["accept"]


def test_pairs_use_a_clip_once_and_share_what_only_the_first_has():
    clips = [rendered(sound_clip(n)) for n in range(8)]
    found = list(questions.pairs(clips, lambda a, b: a.clip.label != b.clip.label and "x", 99))
    used = [one.key for first, second, _ in found for one in (first, second)]
    assert len(used) == len(set(used)) == 8
