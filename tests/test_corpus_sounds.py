"""Labelled sounds: their words, the rules that name them, and instruments played from scores."""

import itertools
import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus import further_sounds
from corpus.clips import CorpusSettings, Materials
from corpus.download import CorpusError
from corpus.effects import (
    LARGE,
    capped,
    distinct,
    effects_in,
    label_of,
    small_enough,
)
from corpus.score import DRUMS, TICKS, Note, midi_bytes, seconds_of
from corpus.sounds import ANIMALS, COUNTED, MUSIC, NATURE, PEOPLE, SOUNDS, THINGS
from corpus.sources import (
    esc10,
    game_effects,
    guards,
    instruments,
    midi,
    more_effects,
    more_instruments,
    named_sounds,
    people,
    world_sounds,
)
from corpus.splits import SPLITS, split_of

ESC10 = {
    "dog bark", "rain", "sea waves", "baby cry", "clock tick", "person sneeze", "helicopter",
    "chainsaw", "rooster", "fire crackling",
}  # fmt: skip


def labels_of(rules):
    return {label for _, label in rules} - {""}


def training_labels():
    ruled = [game_effects.RULES, instruments.RULES, *more_effects.RULES.values()]
    ruled += world_rules("train")
    played = {**midi.INSTRUMENTS, **more_instruments.INSTRUMENTS, **more_instruments.STRUCK}
    return ESC10.union(played, *map(labels_of, ruled))


def held_out_labels():
    ruled = [*named_sounds.RULES.values(), *world_rules("dev"), *world_rules("test")]
    return set().union(midi.INSTRUMENTS, more_instruments.DRUM_KEYS, *map(labels_of, ruled))


def world_rules(split):
    rules = world_sounds.RULES.items()
    return [one for name, one in rules if split_of("world-sounds", name) == split]


def write_noise(path, seed, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, rate // 10)
    soundfile.write(path, noise.astype(np.float32), rate)


# --- words --------------------------------------------------------------------------------------


def test_the_words_fit_the_labels_that_occur():
    assert training_labels() == set(SOUNDS)
    assert set(COUNTED) <= set(SOUNDS)


@pytest.mark.parametrize("label", SOUNDS)
def test_every_sound_has_sentences_and_a_noun_for_a_question(label):
    sound = SOUNDS[label]
    assert 3 <= len(set(sound.captions)) <= 4
    assert all(text[0].isupper() and text.endswith(".") for text in (sound.answer, *sound.captions))
    assert sound.noun[0].islower()
    assert not sound.noun.endswith(".")
    assert bool(sound.one) == bool(sound.many)


def test_articles_and_plurals_are_right():
    assert SOUNDS["accordion"].answer == "An accordion."
    assert SOUNDS["French horn"].noun == "a French horn"
    assert SOUNDS["rain"].noun == "rain falling"
    assert (SOUNDS["cry of pain"].one, SOUNDS["cry of pain"].many) == ("cry", "cries")
    assert SOUNDS["rain"].one == ""


def test_nothing_is_asked_in_dev_that_training_does_not_hold():
    assert held_out_labels() <= training_labels()


def test_training_and_held_out_sounds_come_from_different_packages():
    training = [game_effects, instruments, more_effects, esc10]
    ours = {one.name for source in training for one in source.SOURCE.packages}
    assert not ours & {one.name for one in named_sounds.PACKAGES}
    assert midi.PACKAGES["train"] != midi.PACKAGES["dev"]


# --- rules --------------------------------------------------------------------------------------

UNITS = "usr/share/games/megaglest/techs/megapack/factions"
COMMON = "usr/share/games/megaglest/techs/megapack/commondata/sounds"
WESNOTH = "usr/share/games/wesnoth/1.16/data/core/sounds"


@pytest.mark.parametrize(
    ("package", "path", "label"),
    [
        ("megaglest-data", f"{COMMON}/archer_die2.wav", "cry of pain"),
        ("megaglest-data", f"{COMMON}/archer_attack1.wav", "bow"),
        ("megaglest-data", f"{COMMON}/archer_ack1.wav", ""),
        ("megaglest-data", f"{COMMON}/arrow_hit1.wav", ""),
        ("megaglest-data", f"{COMMON}/swordman_attack12.wav", "sword"),
        ("megaglest-data", f"{COMMON}/horseman_walk1.wav", "horse"),
        ("megaglest-data", f"{COMMON}/pig_die1.wav", ""),
        ("megaglest-data", f"{UNITS}/persian/units/sheep/sounds/sheep10.wav", "sheep"),
        ("megaglest-data", f"{UNITS}/persian/units/sheep/sounds/sheep_die1.wav", ""),
        ("megaglest-data", f"{UNITS}/indian/units/beehive/sounds/bee1.wav", "insects"),
        ("megaglest-data", "megaglest/tilesets/desert2/sounds/night.ogg", ""),
        ("megaglest-data", "megaglest/tilesets/forest/sounds/rain.ogg", "rain"),
        ("wesnoth-1.16-data", f"{WESNOTH}/human-female-die-1.ogg", "cry of pain"),
        ("wesnoth-1.16-data", f"{WESNOTH}/bow-puny.ogg", "bow"),
        ("wesnoth-1.16-data", f"{WESNOTH}/bow-miss.ogg", ""),
        ("wesnoth-1.16-data", f"{WESNOTH}/crossbow-fire.ogg", ""),
        ("wesnoth-1.16-data", f"{WESNOTH}/wolf-growl-2.ogg", "wolf"),
        ("wesnoth-1.16-data", f"{WESNOTH}/orc-hit-2.ogg", ""),
        ("hedgewars-data", "Data/Sounds/voices/British/Laugh.ogg", "laughter"),
        ("hedgewars-data", "Data/Sounds/voices/British/Ow1.ogg", "cry of pain"),
        ("hedgewars-data", "Data/Sounds/voices/British/Oops.ogg", ""),
        ("openarena-data", "sound/player/footsteps/splash1.wav", "splash"),
        ("openarena-data", "sound/player/footsteps/energy1.wav", ""),
        ("bucklespring-data", "usr/share/buckle/wav/3b-1.wav", "keyboard click"),
        ("bucklespring-data", "usr/share/buckle/wav/3b-0.wav", ""),
    ],
)
def test_training_effects_are_labelled_by_their_names(package, path, label):
    assert label_of(path, more_effects.RULES[package]) == label


@pytest.mark.parametrize(
    ("package", "path", "label"),
    [
        ("gcompris-qt-data", "activities/instruments/resource/organ.ogg", "pipe organ"),
        ("gcompris-qt-data", "activities/instruments/resource/harp.ogg", "harp"),
        ("gcompris-qt-data", "activities/instruments/resource/maracas.ogg", ""),
        ("gcompris-qt-data", "explore_farm_animals/resource/animals/duck.ogg", ""),
        ("gcompris-qt-data", "explore_farm_animals/resource/animals/dog.ogg", "dog bark"),
        ("tuxpaint-stamps-default", "stamps/animals/birds/owl.ogg", "bird"),
        ("tuxpaint-stamps-default", "stamps/animals/birds/owl_desc_fr.ogg", ""),
        ("tuxpaint-stamps-default", "stamps/animals/mammals/bovines/goat.ogg", ""),
        ("tuxpaint-stamps-default", "stamps/animals/mammals/bovines/cow_white.ogg", ""),
        ("tuxpaint-stamps-default", "stamps/animals/mammals/pig_golden.ogg", "pig"),
    ],
)
def test_held_out_sounds_are_labelled_by_their_names(package, path, label):
    assert label_of(path, named_sounds.RULES[package]) == label


@pytest.mark.parametrize(
    ("package", "path", "label"),
    [
        ("simutrans-pak64", "simutrans/pak/sound/boat-horn.wav", "ship horn"),
        ("scorched3d-data", "apoc/data/wav/misc/carhorn3.wav", "car horn"),
        ("wesnoth-1.16-data", f"{WESNOTH}/orc-small-hit-1.ogg", "monster"),
        ("wesnoth-1.16-data", f"{WESNOTH}/club-miss.ogg", ""),
        ("minetest-data", "sounds/default_dig_choppy.1.ogg", "chopping wood"),
        ("tuxpaint-stamps-default", "stamps/halloween/blackcat_desc_fr.ogg", ""),
        ("tuxpaint-stamps-default", "stamps/halloween/blackcat.ogg", "cat"),
        ("openttd-opensfx", '58 "Toyland: Train breakdown".wav', ""),
        ("openttd-opensfx", '10 "Diesel electric train station departure".wav', "train"),
    ],
)
def test_further_sounds_are_labelled_by_their_names(package, path, label):
    assert label_of(path, world_sounds.RULES[package]) == label


def test_names_are_at_least_twice_as_many_as_without_the_further_ones():
    before = training_labels() & {*ANIMALS, *PEOPLE, *NATURE, *THINGS, *MUSIC}
    further = {*further_sounds.ANIMALS, *further_sounds.PEOPLE, *further_sounds.NATURE}
    further |= {*further_sounds.THINGS, *further_sounds.PLAYED, *further_sounds.STRUCK}
    assert len(before) >= 2 * len(before - further)
    assert {label for group in further_sounds.ALIKE for label in group} <= set(SOUNDS)


def test_every_package_has_rules():
    assert set(world_sounds.RULES) == {one.name for one in world_sounds.PACKAGES}
    assert set(more_effects.RULES) == {one.name for one in more_effects.PACKAGES}
    assert set(named_sounds.RULES) == {one.name for one in named_sounds.PACKAGES}


def test_copies_of_a_file_are_read_once_and_name_one_recording(tmp_path):
    write_noise(tmp_path / "tilesets/a/rain.wav", seed=1)
    write_noise(tmp_path / "tilesets/b/rain.wav", seed=1)
    write_noise(tmp_path / "tilesets/c/rain.wav", seed=2)
    rules = ((r"rain", "rain"),)
    found = distinct(effects_in(tmp_path, rules))
    assert [Path(one.path).parent.name for one in found] == ["a", "c"]
    assert len(capped(found, 1)) == 1


def test_a_small_corpus_leaves_large_packages_out(tmp_path):
    def names(size):
        materials = Materials(CorpusSettings(size=size), tmp_path, tmp_path)
        return [one.name for one in small_enough(named_sounds.PACKAGES, materials)]

    assert names("small") == ["gcompris-qt-data"]
    assert names("full") == ["gcompris-qt-data", "tuxpaint-stamps-default"]


def test_what_a_small_corpus_cannot_train_is_not_held_out_there():
    small = [rules for name, rules in more_effects.RULES.items() if name not in LARGE]
    trained = ESC10.union(midi.INSTRUMENTS, labels_of(game_effects.RULES), *map(labels_of, small))
    held_out = labels_of(named_sounds.RULES["gcompris-qt-data"])
    assert held_out - trained - labels_of(instruments.RULES) == named_sounds.NOT_IN_SMALL


# --- resource files -----------------------------------------------------------------------------


def resource_file(content):
    """A version 1 file with the folder `a` that holds the plain file `b.ogg`."""

    def name(text):
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = name("a") + name("b.ogg")
    nodes = struct.pack(">IHII", 0, 2, 1, 1)  # the root: one child, from node 1
    nodes += struct.pack(">IHII", 0, 2, 1, 2)
    nodes += struct.pack(">IHHHI", len(name("a")), 0, 0, 0, 0)
    data = struct.pack(">I", len(content)) + content
    start = 20
    offsets = (1, start + len(data) + len(names), start, start + len(data))
    return b"qres" + struct.pack(">4I", *offsets) + data + names + nodes


def test_files_are_read_from_a_resource_file():
    found = dict(named_sounds.rcc_files(resource_file(b"sound")))
    assert found == {"/a/b.ogg": b"sound"}
    with pytest.raises(CorpusError, match="should begin with qres"):
        dict(named_sounds.rcc_files(b"PK\x03\x04" + bytes(30)))


def sound_set(*sounds):
    """An OpenTTD sound set of names and contents."""
    at, table, body = 8 * len(sounds), b"", b""
    for name, content in sounds:
        record = bytes([len(name) + 1]) + name.encode() + b"\0" + content
        table += struct.pack("<II", at | 0x80000000, len(content))
        body, at = body + record, at + len(record)
    return table + body


def test_a_sound_set_says_what_its_sounds_are():
    data = sound_set(('"Cow". By A.', b"moo"), ('"Sheep". By B.', b"baa!"))
    assert dict(world_sounds.catalogue(data)) == {'"Cow". By A.': b"moo", '"Sheep". By B.': b"baa!"}
    with pytest.raises(CorpusError, match="should begin with a table"):
        list(world_sounds.catalogue(b"RIFF" + bytes(20)))


# --- notes of a patch ---------------------------------------------------------------------------


def patch(*samples, modes, loop=(0, 0), rate=8000):
    data = bytearray(b"GF1PATCH110\0" + bytes(129 + 63 + 47 - 12))
    data[129 + 63 + 6] = len(samples)
    for sample in samples:
        head = struct.pack("<7sB3IH", b"", 0, len(sample), *loop, rate)
        data += head + bytes(33) + bytes([modes]) + bytes(40) + sample
    return bytes(data)


def test_a_note_with_a_loop_is_held_and_one_without_ends():
    wave = np.arange(-4, 4, dtype="<i2") * 1000
    ((held, rate),) = more_instruments.patch_notes(patch(wave.tobytes(), modes=5, loop=(8, 16)))
    assert (rate, len(held)) == (8000, 12000)
    assert held[:12] * 32768 == pytest.approx([*wave, *wave[4:]], abs=1)
    short, long = np.full(10, 192, "u1"), np.full(20, 64, "u1")
    (one, _), (two, _) = more_instruments.patch_notes(
        patch(short.tobytes(), long.tobytes(), modes=2)
    )
    assert (len(one), one[0]) == (10, 0.5)
    assert (len(two), two[0]) == (20, -0.5)
    with pytest.raises(CorpusError, match="begin with GF1PATCH"):
        more_instruments.patch_notes(b"RIFF")


def test_a_rhythm_goes_to_the_channel_of_the_drums():
    notes = more_instruments.rhythm("bongo", "seed")
    assert {note.program for note in notes} == {DRUMS}
    assert {note.key for note in notes} <= {60, 61}
    data = midi_bytes(notes)
    assert data.count(b"\x99") >= len(notes)
    assert b"\xc9" not in data  # a drum kit is no program


# --- silence, noise, music ----------------------------------------------------------------------


def test_silences_are_silent_noises_have_a_level_and_both_are_the_same_again():
    for number in range(3):
        samples, _ = guards.made("silence", f"s{number}")
        assert np.abs(samples).max() < 1e-3
    for kind in guards.NOISES:
        samples, rate = guards.made(kind, "n")
        assert 1.5 * rate <= len(samples) <= 8 * rate
        assert -62 < 20 * np.log10(np.sqrt(np.mean(np.square(samples)))) < -19
        assert np.array_equal(samples, guards.made(kind, "n")[0])


def test_a_piece_of_music_is_in_one_split_and_asked_for_words_that_are_not_there(tmp_path):
    for package, pattern in zip(guards.PACKAGES, guards.PIECES, strict=True):
        folder = tmp_path / "work" / f"{package.name}-{package.sha256[:8]}"
        (folder / pattern.replace("*", "piece")).parent.mkdir(parents=True)
        (folder / pattern.replace("*", "piece")).touch()
    found = list(guards.SOURCE.read(Materials(CorpusSettings(), tmp_path, tmp_path / "work")))
    music = [one for one in found if one.asks[0].label == "music"]
    assert [one.split for one in music] == [s for s in ("train", "dev", "test") for _ in range(4)]
    assert {one.licence for one in music} == {"GPL-3+", "CC BY-SA 3.0"}
    assert {ask.task for one in found for ask in one.asks} == {"guard", "unanswerable"}
    assert {one.split for one in found if one.asks[0].label == "noise"} == set(SPLITS)


# --- people -------------------------------------------------------------------------------------


def person(name, task="asr", **fields):
    row = {"path": f"{name}.ogg", "set": "a_set", "task": task, "speaker": name, "gender": "female"}
    return row | {"split": "train", "licence": "MIT"} | fields


def test_people_are_read_with_their_words_and_children_are_not_asked_for_their_sex(tmp_path):
    rows = [
        person("so762_2", text="we call it bear", age=6, accent="Mandarin"),
        person("so762_9646", text="good", age=21),
        person("libri_5", task="gender", split="dev"),
        person("alnum_7", task="sqa", question="Which number?", answer="43126798"),
        person("baby_1", task="sound", licence="ODbL 1.0", path="B.ogg"),
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings = CorpusSettings(people=tmp_path)
    child, woman, reader, caller, baby = people.SOURCE.read(Materials(settings, tmp_path, tmp_path))
    assert child.text == "We call it bear."
    assert (child.gender, child.tasks) == ("", ("transcribe", "language"))
    assert (woman.gender, woman.split) == ("woman", "test")
    assert (reader.tasks, reader.split) == (("gender", "language"), "dev")
    assert [(ask.task, ask.label) for ask in caller.asks] == [("details", "43126798")]
    assert (baby.label, baby.licence, baby.tasks) == ("baby cry", "ODbL 1.0", ("sound", "caption"))
    (tmp_path / "manifest.jsonl").write_text('{"path": "a"}\n')
    with pytest.raises(CorpusError, match="the fields set, task, speaker"):
        list(people.SOURCE.read(Materials(settings, tmp_path, tmp_path)))


# --- scores -------------------------------------------------------------------------------------


def read_midi(data):
    """Every note of a one-track file as (start, end, key, program, velocity), times in ticks."""
    assert data[:14] == b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS // 2)
    assert data[14:22] == b"MTrk" + struct.pack(">I", len(data) - 22)
    at, now, programs, sounding, notes = 22, 0, {}, {}, []
    while at < len(data):
        delta = 0
        while True:
            delta = delta << 7 | data[at] & 0x7F
            at += 1
            if not data[at - 1] & 0x80:
                break
        now += delta
        kind, channel = data[at] & 0xF0, data[at] & 0x0F
        if kind == 0xF0:
            at += 3 + data[at + 2]
        elif kind == 0xC0:
            programs[channel] = data[at + 1]
            at += 2
        else:
            key, velocity = data[at + 1], data[at + 2]
            if kind == 0x90:
                sounding[channel, key] = now, velocity
            else:
                start, strength = sounding.pop((channel, key))
                notes.append((start, now, key, programs[channel], strength))
            at += 3
    assert data.endswith(b"\xff\x2f\x00")
    assert not sounding
    return sorted(notes), now


def test_a_score_holds_exactly_the_notes_that_were_asked_for():
    notes = [
        Note(start=0.0, seconds=0.5, key=60, program=0, velocity=80),
        Note(start=0.5, seconds=0.25, key=60, program=0),
        Note(start=0.5, seconds=2.0, key=64, program=73),
    ]
    found, end = read_midi(midi_bytes(notes))
    assert found == [
        (0, 480, 60, 0, 80),
        (480, 720, 60, 0, 90),
        (480, 2400, 64, 73, 90),
    ]
    assert end == round(seconds_of(notes) * TICKS)


def test_more_instruments_than_channels_are_refused():
    notes = [Note(start=0, seconds=1, key=60, program=number) for number in range(10)]
    with pytest.raises(ValueError, match="at most 9 programs, found 10"):
        midi_bytes(notes)


@pytest.mark.parametrize("label", midi.INSTRUMENTS)
def test_phrases_stay_in_range_and_answers_follow_from_the_notes(label):
    instrument = midi.INSTRUMENTS[label]
    for number in range(12):
        notes, asks = midi.phrase(label, number, f"{label}-{number}")
        read_midi(midi_bytes(notes))
        assert all(instrument.low <= note.key <= instrument.high for note in notes)
        assert {note.program for note in notes} == {instrument.program}
        assert 1.2 < seconds_of(notes) < 9
        keys = [note.key for note in notes]
        for ask in asks:
            truth = {
                "up": keys == sorted(set(keys)),
                "down": keys == sorted(set(keys), reverse=True),
                "fast": all(note.seconds < 0.2 for note in notes),
                "slow": all(note.seconds > 0.5 for note in notes),
            }
            assert truth[ask.label]
            assert ask.turns[0][1] == f"{ask.label.capitalize()}."
            assert ask.label in ask.options


def test_each_answer_about_phrases_is_right_half_of_the_time():
    asked = [
        ask.label
        for label in midi.INSTRUMENTS
        for number in range(30)
        for ask in midi.phrase(label, number, f"{label}-{number}")[1]
    ]
    counts = {label: asked.count(label) for label in ("up", "down", "fast", "slow")}
    assert len(set(counts.values())) == 1


def test_separate_notes_are_as_many_as_the_answer_says_with_pauses_between():
    for count, word in enumerate(midi.NUMBERS, start=1):
        notes, (ask,) = midi.separate("flute", count, f"seed {count}")
        assert len(notes) == count == int(ask.label)
        assert ask.turns[0][1] == f"{word.capitalize()}."
        for one, after in itertools.pairwise(notes):
            assert after.start - one.start - one.seconds > 0.3


def test_the_instrument_that_is_named_plays_at_the_place_asked_for():
    for number in range(40):
        notes, (ask,) = midi.pair(f"pair {number}")
        played = list(dict.fromkeys(n.program for n in sorted(notes, key=lambda n: n.start)))
        question, answer = ask.turns[0]
        asked = played[0 if "first" in question else 1]
        assert midi.INSTRUMENTS[ask.label].program == asked
        assert answer == f"The {ask.label}."
        families = {midi.INSTRUMENTS[label].family for label in ask.options}
        assert len(families) == 2
        assert all(label in question for label in ask.options)


def test_a_line_is_made_of_the_scale_it_was_given():
    keys = [60, 62, 64, 65, 67]
    assert midi.line(keys, random.Random(0), "up") == keys
    assert midi.line(keys, random.Random(0), "down") == keys[::-1]


def test_a_missing_synthesiser_is_one_clear_line(tmp_path):
    materials = Materials(CorpusSettings(fluidsynth="no-such-player"), tmp_path, tmp_path)
    with pytest.raises(CorpusError, match="name it with --fluidsynth COMMAND"):
        list(midi.SOURCE.read(materials))
