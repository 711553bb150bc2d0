"""Manifest lines: what is refused, by line and field."""

import json
from pathlib import Path

import pytest
import soundfile
from trainings import write_corpus

from mowe.data.manifest import read_manifest
from mowe.errors import ManifestError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": ""}, "audio must be a text"),
        ({"audio": "gone.wav"}, "does not exist"),
        ({"audio": "../outside.wav"}, "lies outside"),
        ({"audio": None}, "messages hold <audio>, but audio is null"),
        ({"audio": None, "start": 1.0}, "a line without audio has no start"),
        ({"audio": None, "hints": ["Length: 1.0 s."] * 2}, "2 hints for 1 marks <audio>"),
        ({"hints": ["Length: 1.0 s."]}, "hints are for lines without audio"),
        ({"audio": None, "hints": "Length: 1.0 s."}, "hints must list texts"),
        ({"options": "yes or no"}, "options must list texts"),
        ({"accept": [1]}, "accept must list texts"),
        ({"options": ["yes", "no"], "label": "maybe"}, "label 'maybe' is not one of"),
        ({"task": 3}, "task must be a text"),
        ({"start": -1}, "start must be seconds"),
        ({"duration": "2 s"}, "duration must be seconds"),
        ({"start": 2.0, "end": 1.0}, "end 1.0 must be after start 2.0"),
        ({"messages": []}, "messages must list"),
        ({"messages": [{"role": "assistant", "content": "x"}] * 2},
         r"messages\[0\] must have role"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]},
         r"messages\[1\].content must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_field(corpus, change, message):
    lines = corpus.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    corpus.write_text("\n".join(lines))
    with pytest.raises(ManifestError, match=rf"line 3.*{message}"):
        read_manifest(corpus)


def test_a_line_that_is_not_json_is_named(corpus):
    corpus.write_text(corpus.read_text() + "{oops\n")
    with pytest.raises(ManifestError, match="line 8 is not JSON"):
        read_manifest(corpus)


def test_missing_manifest_names_the_command_that_builds_it(tmp_path):
    path = tmp_path / "corpus" / "manifest.jsonl"
    with pytest.raises(ManifestError, match=rf"no manifest {path}.*--out {path.parent}"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"duration": 41.24}, "41.2"),
        ({"start": 2.0, "end": 33.0}, "31.0"),
        ({"duration": None}, "32.0"),  # of the file itself
        ({"duration": None, "start": 1.0}, "31.0"),
    ],
)
def test_a_line_longer_than_training_hears_is_refused_by_its_number(corpus, change, found):
    lines = corpus.read_text().splitlines()
    changed = json.loads(lines[3]) | change
    soundfile.write(corpus.parent / changed["audio"], [0.0] * 32 * 8_000, 8_000)
    lines[3] = json.dumps(changed)
    corpus.write_text("\n".join(lines))
    message = rf"line 4: sound0.wav lasts {found} s, training hears at most 30 s: give `start`"
    with pytest.raises(ManifestError, match=message):
        read_manifest(corpus, max_seconds=30.0)
    assert len(read_manifest(corpus)) == 7  # evaluation and maps take any length


def test_a_part_of_a_long_recording_is_taken(corpus):
    lines = corpus.read_text().splitlines()
    lines[3] = json.dumps(json.loads(lines[3]) | {"start": 600.0, "end": 630.0, "duration": 900.0})
    corpus.write_text("\n".join(lines))
    assert len(read_manifest(corpus, max_seconds=30.0)) == 7


def test_a_line_of_text_alone_may_tell_of_several_recordings(corpus):
    messages = [
        {"role": "user", "content": "<audio> <audio> Which is longer?"},
        {"role": "assistant", "content": "The second."},
    ]
    hints = ["Length: 1.0 s.\nNothing is heard.", "Length: 2.0 s."]
    line = {"audio": None, "task": "lesson", "messages": messages, "hints": hints}
    corpus.write_text(json.dumps(line))
    (example,) = read_manifest(corpus)
    assert (example.hints, example.audio) == (tuple(hints), None)
