"""Corpus recipes on tiny made files: formats, splits, manifest and data card, all offline."""

import functools
import gzip
import json
import re
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from corpus import SOURCES, CorpusError, build_corpus, clips, lines
from corpus.clips import Clip, CorpusSettings, Materials, Source
from corpus.download import Package, fetch, unpack
from corpus.effects import capped, effects_in, label_of
from corpus.sound import convert, join, read_g722, read_sound
from corpus.sounds import SOUNDS
from corpus.sources import (
    amazon_queen,
    asterisk,
    drascula,
    esc10,
    game_effects,
    instruments,
    spoken_digits,
    synthetic_speech,
)
from corpus.text import from_capitals, spoken_sentence
from corpus.wording import TASKS
from mowe.__main__ import main
from mowe.data.manifest import read_manifest
from mowe.files import file_sha256

ROOT = Path(__file__).parents[1]
RATE = 8000
FIELDS = {"file", "title", "question", "expected", "licence", "attribution"}


def tone(seconds=1.0, rate=RATE, pitch=200.0):
    return np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def write_tone(path, seconds=1.0, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * tone(seconds, rate), rate)
    return path


def clip(name="a", seconds=1.0, **changes):
    facts = {
        "load": lambda: (tone(seconds), RATE),
        "split": "train",
        "tasks": ("transcribe",),
        "recording": f"recording of {name}",
        "speaker": f"speaker of {name}",
        "text": f"This is line {name}.",
        "language": "English",
        "gender": "man",
    }
    return Clip(name=name, **(facts | changes))


def source(*found, name="made", **changes):
    def read(_materials):
        yield from found

    facts = {"title": "Made tones", "licence": "CC0", "attribution": "nobody", "read": read}
    return Source(name=name, **(facts | changes))


def materials(folder, **settings):
    return Materials(CorpusSettings(**settings), folder / "packages", folder / "work")


# --- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("Press 7 to undelete this message", "Press seven to undelete this message."),
        ("press * to pause, or # to exit", "Press star to pause, or pound to exit."),
        ("At least MY plane flies.", "At least my plane flies."),
        ("... extension ...", "Extension."),
        ("You've done it this time King...", "You've done it this time King."),
        ("dial 1234", ""),
        ("^@ odd > signs", ""),
        ("?!", ""),
    ],
)
def test_a_script_line_becomes_what_a_listener_would_write(script, sentence):
    assert spoken_sentence(script) == sentence


def test_text_in_capitals_gets_capitals_only_where_sentences_begin():
    assert from_capitals("NO. I KNOW WHAT I SAW!") == "No. I know what I saw!"


def test_sentences_are_compared_without_case_and_punctuation():
    assert clips.sentence_key("Don't  go!") == clips.sentence_key("dont go")


# --- packages -----------------------------------------------------------------------------------


def test_a_download_with_another_hash_is_refused_and_removed(tmp_path):
    package = Package("debian", "tones", "1:2-3", "0" * 64)
    file = tmp_path / "tones_1%3a2-3_all.deb"
    file.write_bytes(b"changed")
    with pytest.raises(CorpusError, match="debian tones 1:2-3: found sha256"):
        fetch(package, tmp_path)
    assert not file.exists()


def test_a_package_is_unpacked_once_and_reused(tmp_path):
    downloads = tmp_path / "packages"
    downloads.mkdir()
    sound = write_tone(tmp_path / "hit.wav")
    with tarfile.open(downloads / "drums-1.0.tgz", "w:gz") as archive:
        archive.add(sound, "package/hit.wav")
    digest = file_sha256(downloads / "drums-1.0.tgz")
    package = Package("npm", "drums", "1.0", digest)
    folder = unpack(package, downloads, tmp_path / "work")
    assert (folder / "package/hit.wav").is_file()
    (downloads / "drums-1.0.tgz").unlink()
    assert unpack(package, downloads, tmp_path / "work") == folder


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_packages_are_unpacked_below_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    control = Path("tree/DEBIAN/control")
    control.parent.mkdir(parents=True)
    fields = {"Package": "tones", "Version": "1", "Architecture": "all", "Maintainer": "nobody"}
    control.write_text("".join(f"{k}: {v}\n" for k, v in fields.items()) + "Description: none\n")
    write_tone(Path("tree/hit.wav"))
    Path("corpus/packages").mkdir(parents=True)
    archive = Path("corpus/packages/tones_1_all.deb")
    subprocess.run(["dpkg-deb", "--build", "tree", archive], check=True, capture_output=True)
    package = Package("debian", "tones", "1", file_sha256(archive))
    folder = unpack(package, Path("corpus/packages"), Path("corpus/work"))
    assert (folder / "hit.wav").is_file()


def test_every_source_is_pinned_and_says_its_licence_and_attribution():
    for one in SOURCES.values():
        assert one.licence
        assert one.attribution
        assert all(len(package.sha256) == 64 for package in one.packages)


def test_unknown_registries_are_refused():
    with pytest.raises(ValueError, match="registry must be one of"):
        Package("floppy", "tones", "1", "0" * 64)


# --- sound --------------------------------------------------------------------------------------


def test_clips_become_mono_at_the_wanted_rate_and_never_clip():
    stereo = 2 * np.stack([tone(), tone()], axis=1)
    mono = convert((stereo, RATE), 16_000)
    assert mono.shape == (16_000,)
    assert np.abs(mono).max() <= 0.951


def test_joined_pieces_keep_the_gaps():
    row = join([np.ones(100, np.float32)] * 3, [0.01, 0.02], 1000)
    assert len(row) == 330
    assert np.array_equal(np.flatnonzero(row == 0), np.r_[100:110, 210:230])


def test_g722_is_decoded_at_16_khz(tmp_path):
    path = tmp_path / "prompt.g722"
    samples = (0.5 * tone(1.0, 16_000) * 32767).astype(np.int16)
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    decoded, rate = read_g722(path)
    assert rate == 16_000
    assert len(decoded) == pytest.approx(16_000, abs=400)
    assert np.abs(decoded).max() == pytest.approx(0.5, abs=0.05)


def test_a_sound_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(CorpusError, match="cannot be decoded"):
        read_sound(b"not a sound at all")


# --- sources ------------------------------------------------------------------------------------


def test_prompts_are_read_by_name_and_tones_are_no_speech(tmp_path):
    path = tmp_path / "core-sounds-en.txt.gz"
    path.write_bytes(gzip.compress(b"; comment\n\nvm-hi: Hello: you.\nbeep: [a tone]\n"))
    texts = asterisk.read_texts(path)
    assert texts == {"vm-hi": "Hello: you.", "beep": "[a tone]"}
    assert asterisk.is_speech(texts["vm-hi"])
    assert not asterisk.is_speech(texts["beep"])


def queen_archive(files):
    table, content = b"", b""
    start = 15 + 21 * len(files) + 21
    for name, data in files.items():
        table += struct.pack(">12sBII", name.encode(), 0, start + len(content), len(data))
        content += data
    return b"QTBL" + bytes(11) + table + bytes(21) + content


def dialogue(hero, partner):
    def strings(texts):
        found = b""
        for number, text in enumerate(texts, start=1):
            found += struct.pack(">HHB", 0, number, len(text)) + text.encode()
        return found

    # each list holds one text; a text's end is aligned to four bytes
    head = struct.pack(">hhhhh", 0, 0, 5, len(hero) - 1, len(partner)).ljust(32, b"\0")
    body = strings(hero)
    body += bytes(-(32 + len(body)) % 4)
    head = head[:22] + struct.pack(">H", 32 + len(body)) + head[24:]
    return bytes(20) + head + body + strings(partner) + bytes(8)


def test_the_games_archive_gives_lines_with_their_speakers():
    names = ("050001J1.SB", "050001P1.SB", "050001P2.SB", "JOE00411.SB")
    files = dict.fromkeys(names, b"mp3")
    files["BOB2.DOG"] = dialogue(["Hi Bob."], ["Hi*02there*FL"])
    files["QUEEN2.JAS"] = b"It's a door.\r\n"
    entries = amazon_queen.read_entries(queen_archive(files))
    script = amazon_queen.read_script(entries)
    assert {name: (line.text, line.speaker) for name, line in script.items()} == {
        "050001J1.SB": ("Hi Bob.", "JOE"),
        "050001P1.SB": ("Hi", "BOB"),
        "050001P2.SB": ("there", "BOB"),
        "JOE00411.SB": ("It's a door.", "JOE"),
    }


def test_another_file_in_the_archives_place_is_refused():
    with pytest.raises(CorpusError, match="should begin with QTBL"):
        amazon_queen.read_entries(b"MZ" + bytes(100))


def drascula_table(lines_of_language):
    block = bytes(2)
    for text in lines_of_language:
        data = text.encode("cp850") + b"\0"
        block += struct.pack(">H", len(data) + 2) + data
    return struct.pack(">H", len(block)) + block


def test_the_english_lines_are_found_among_six_languages():
    english = ["", "HELLO THERE", "GOOD BYE"]
    tables = [drascula_table(english)] + [drascula_table(["", "HOLA", "ADIOS"])] * 5
    data = bytes(3001) + struct.pack(">H", 3) + b"".join(tables) + bytes(50)
    assert drascula.read_tables(data) == [english]


def test_digit_strings_are_spoken_by_one_person_of_one_split(tmp_path):
    for speaker in spoken_digits.SPEAKERS:
        for digit in range(10):
            write_tone(tmp_path / f"recordings/{digit}_{speaker}_0.wav", 0.2)
    found = list(spoken_digits.SOURCE.read(materials(tmp_path, fsdd=tmp_path)))
    splits = {one.speaker: one.split for one in found}
    assert splits["fsdd-theo"] == splits["fsdd-yweweler"] == "dev"
    assert splits["fsdd-george"] == "train"
    first = found[0]
    samples, rate = first.load()
    digits = len(first.notes["digits"])
    assert len(first.text.split()) == digits
    assert digits * 0.2 < len(samples) / rate < digits * 0.2 + (digits - 1) * 0.36


@pytest.mark.parametrize("flat", [True, False])
def test_sounds_are_read_from_the_release_and_from_a_flat_folder(tmp_path, flat):
    folder = tmp_path / "esc10"
    for fold in (1, 4, 5):
        parent = folder if flat else folder / "001 - Dog bark"
        write_tone(parent / f"{fold}-{fold}00-A.ogg", 0.5)
    if flat:
        rows = [{"path": f"esc10/{f}-{f}00-A.ogg", "label": "dog bark"} for f in (1, 4, 5)]
        text = "\n".join(json.dumps(row) for row in rows)
        (tmp_path / "manifest.jsonl").write_text(text)
    found = list(esc10.SOURCE.read(materials(tmp_path, esc10=folder)))
    assert [(one.name, one.split, one.label) for one in found] == [
        ("1-100-A", "train", "dog bark"),
        ("4-400-A", "dev", "dog bark"),
        ("5-500-A", "test", "dog bark"),
    ]


def test_a_folder_that_nobody_named_is_a_clear_sentence(tmp_path):
    with pytest.raises(CorpusError, match="name it with --esc10 FOLDER"):
        list(esc10.SOURCE.read(materials(tmp_path)))


def test_wordnet_examples_are_unique_decent_and_read_by_one_voice_each(tmp_path):
    glosses = [
        'a thing; "they saw the thing clearly"; "the thing was seen"',
        'again; "They saw the thing, clearly"; "too short"; "it cost 20 dollars today"',
        '(ethnic slur) rude; "nobody should hear this one"',
    ]
    rows = [f"0001 04 n 01 thing 0 000 | {gloss}  " for gloss in glosses]
    (tmp_path / "data.noun").write_text("  1 licence text\n" + "\n".join(rows))
    sentences = synthetic_speech.wordnet_sentences(tmp_path)
    assert sentences == ["They saw the thing clearly.", "The thing was seen."]
    shares = list(synthetic_speech.share_out([f"Sentence {n}." for n in range(9500)]))
    assert len({text for *_, text in shares}) == len(shares) >= 9200


def test_a_missing_synthesiser_is_named_with_the_fix(tmp_path, caplog):
    nothing = dict.fromkeys(("flite", "hibari", "espeak"), "no-such-command")
    with pytest.raises(CorpusError, match="no speech synthesiser was found"):
        list(synthetic_speech.SOURCE.read(materials(tmp_path, **nothing)))
    assert "install it or name it with --flite COMMAND" in caplog.text


def test_effects_are_labelled_by_the_first_rule_and_capped(tmp_path):
    for number in range(5):
        write_tone(tmp_path / f"sound/footsteps/grass{number}.wav", 0.2)
    write_tone(tmp_path / "sound/footsteps/splash1.wav", 0.2)
    write_tone(tmp_path / "sound/ui/click1.wav", 0.2)
    found = list(effects_in(tmp_path, game_effects.RULES))
    assert sorted(one.label for one in found) == ["footsteps"] * 5 + ["splash"]
    assert len(capped(found, 2)) == 3
    assert found[0].load()[1] == RATE


def test_instrument_rules_leave_loops_and_bells_out():
    label = functools.partial(label_of, rules=instruments.RULES)
    assert label("samples/drum_cymbal_open.flac") == "cymbal"
    assert label("samples/drum_snare_soft.flac") == "drum"
    assert label("kits/Millo/sd_03.flac") == "drum"
    assert label("kits/belofilms_GuitarStrums/Aminor_01.flac") == "guitar"
    assert label("samples/drum_cowbell.flac") == ""
    assert label("samples/loop_amen.flac") == ""


def test_every_label_of_every_rule_has_an_answer():
    rules = (*game_effects.RULES, *instruments.RULES)
    assert {label for _, label in rules} - {""} <= set(SOUNDS)
    assert all(len(set(sound.captions)) >= 3 for sound in SOUNDS.values())
    assert all(len(set(task.questions)) >= 6 for task in TASKS.values())


# --- build --------------------------------------------------------------------------------------


def test_a_build_writes_clips_a_valid_manifest_and_a_card(tmp_path):
    made = source(
        clip("a", tasks=("transcribe", "language", "gender")),
        clip("b", split="dev"),
        clip("s", tasks=("sound",), label="rain", text="", speaker="", crops=((0.2, 0.7),)),
    )
    corpus = build_corpus(tmp_path, [made], CorpusSettings())
    plain = [line for line in corpus.lines if re.fullmatch(r"made/\w/[a-z]+(/1)?", line["id"])]
    assert len(plain) == 6
    train = read_manifest(tmp_path / "manifest.jsonl", split="train")
    assert {one.task for one in train} >= {"transcribe", "language", "gender", "sound"}
    answers = {one.metadata["id"]: one.answer for one in train}
    assert answers["made/a/transcribe"] == "This is line a."
    assert answers["made/a/language"] == "English."
    assert answers["made/a/gender"] == "A man."
    assert answers["made/s/sound"] == "Rain falling."
    assert all(one.messages[0][1].startswith("<audio> ") for one in train)
    crop = next(one for one in train if one.metadata["id"] == "made/s/sound/1")
    assert (crop.start, crop.end, crop.metadata["duration"]) == (0.2, 0.7, 0.5)
    card = (tmp_path / "CORPUS.md").read_text()
    assert "| made | dev | transcribe | 1 | 0.00 | 1 | 1 |" in card
    assert "| made | train | sound | 2 | 0.00 | 1 | 0 |" in card
    assert "- Licence: CC0" in card


def test_a_second_build_keeps_finished_clips_and_gives_the_same_manifest(tmp_path):
    build_corpus(tmp_path, [source(clip("a"))], CorpusSettings())
    first = (tmp_path / "manifest.jsonl").read_text()

    def never():
        raise AssertionError("a finished clip was loaded again")

    build_corpus(tmp_path, [source(clip("a", load=never))], CorpusSettings())
    assert (tmp_path / "manifest.jsonl").read_text() == first


def test_sources_and_clips_that_cannot_be_read_do_not_stop_the_rest(tmp_path):
    def broken():
        raise CorpusError("the sound is empty")

    def unreadable(_materials):
        raise CorpusError("no folder was given")

    good = source(clip("a"), clip("b", load=broken))
    corpus = build_corpus(tmp_path, [good, source(name="gone", read=unreadable)], CorpusSettings())
    assert {line["audio"] for line in corpus.lines} == {"clips/made/a.flac"}
    assert corpus.skipped == {"gone": "no folder was given"}
    assert "- gone: no folder was given" in (tmp_path / "CORPUS.md").read_text()


def test_clips_of_implausible_length_for_their_text_are_dropped(tmp_path):
    found = (clip("a"), clip("b", text="Long " * 20), clip("c", text="A.", seconds=3.0))
    made = source(*found, characters_per_second=(3.0, 30.0))
    corpus = build_corpus(tmp_path, [made], CorpusSettings())
    assert {line["audio"] for line in corpus.lines} == {"clips/made/a.flac"}


def test_training_clips_whose_sentence_is_in_dev_are_dropped():
    dev, same, other = (
        clip("a", split="dev", text="Good bye!"),
        clip("b", text="good bye"),
        clip("c", text="Good night."),
    )
    kept = lines.without_shared_sentences((source(), one) for one in (dev, same, other))
    assert [one.name for _, one in kept] == ["a", "c"]


@pytest.mark.parametrize("shared", ["speaker", "recording", "text"])
def test_a_speaker_recording_or_sentence_in_two_splits_stops_the_build(tmp_path, shared):
    same = {shared: "one and the same"}
    with pytest.raises(CorpusError, match="'one and the same' is in two splits"):
        lines.check_splits(
            line
            for one in (clip("a", **same), clip("b", split="dev", **same))
            for line in lines.lines_of(lines.Rendered(one, source(), "a.flac", 1.0))
        )


def test_a_label_is_capped_and_drawn_evenly_from_its_speakers(monkeypatch):
    monkeypatch.setattr(lines, "CAPS", {"gender": 6})
    people = ["anna"] * 20 + ["berta"] * 20 + ["clara"] * 2
    found = [
        line
        for number, name in enumerate(people)
        for line in lines.lines_of(
            lines.Rendered(
                clip(f"{number:02d}", speaker=name, tasks=("gender",)), source(), "a.flac", 1.0
            )
        )
    ]
    kept = lines.balanced(found)
    assert sorted(line["speaker"] for line in kept) == ["anna"] * 2 + ["berta"] * 2 + ["clara"] * 2
    assert kept == lines.balanced(found)


def test_the_command_line_says_why_nothing_was_built(tmp_path, capsys):
    assert main(["corpus", "--out", str(tmp_path), "--source", "esc10"]) == 1
    assert "name it with --esc10 FOLDER" in capsys.readouterr().err


# --- example clips ------------------------------------------------------------------------------


def test_examples_are_there_small_attributed_and_open():
    folder = ROOT / "assets/examples"
    examples = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    credits = (ROOT / "assets/ATTRIBUTION.md").read_text(encoding="utf-8")
    for example in examples:
        assert set(example) == FIELDS
        assert all(example.values())
        assert f"`{example['file']}`" in credits
        assert soundfile.info(str(folder / example["file"])).duration > 1
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_500_000
    assert {path.name for path in folder.iterdir()} == {
        "examples.json",
        *(example["file"] for example in examples),
    }


def test_prompts_shown_as_examples_are_held_out():
    credits = (ROOT / "assets/ATTRIBUTION.md").read_text(encoding="utf-8")
    shown = re.findall(r"Asterisk core sounds [\d.]+, \w+, `([^`]+)`", credits)
    assert len(shown) == 4
    assert set(shown) <= asterisk.HELD_OUT
