"""Labelled sounds: their words, the rules that name them, and instruments played from scores."""

import itertools
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

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
from corpus.score import TICKS, Note, midi_bytes, seconds_of
from corpus.sounds import COUNTED, SOUNDS
from corpus.sources import (
    esc10,
    game_effects,
    instruments,
    midi,
    more_effects,
    named_sounds,
)

ESC10 = {
    "dog bark", "rain", "sea waves", "baby cry", "clock tick", "person sneeze", "helicopter",
    "chainsaw", "rooster", "fire crackling",
}  # fmt: skip


def labels_of(rules):
    return {label for _, label in rules} - {""}


def training_labels():
    ruled = [game_effects.RULES, instruments.RULES, *more_effects.RULES.values()]
    return ESC10.union(midi.INSTRUMENTS, *map(labels_of, ruled))


def held_out_labels():
    return set().union(midi.INSTRUMENTS, *map(labels_of, named_sounds.RULES.values()))


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


def test_every_package_has_rules():
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
