"""Records of routing: written in parts, joined, read back, refused when they are not ours."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from fakes import FakeAssistant
from pyarrow import parquet

from mowe.analysis import read_records
from mowe.assistant import Assistant, Sampling, Turn
from mowe.assistant.routed import BATCH_SECONDS, route_windows
from mowe.audio import load_audio
from mowe.data.records import LABELS, LabelledClip, RecordsFile, content_sha256
from mowe.errors import RecordsError
from mowe.model.control import RoutingControl

ENCODERS = FakeAssistant.encoder_names


def tone(seconds: float, hertz: float = 300.0):
    times = np.arange(round(seconds * 16_000)) / 16_000
    return load_audio(((0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), 16_000))


def answer_of(seconds: float):
    fake = FakeAssistant(step_seconds=0.0)
    turns = [Turn("user", "", (tone(seconds),))]
    return replace(fake._answer(turns, Sampling(), None), finished=True)


@pytest.fixture
def written(tmp_path) -> Path:
    path = tmp_path / "records.parquet"
    file = RecordsFile(path, "mini", ENCODERS)
    file.add(
        LabelledClip(Path("a.wav"), labels={"task": "sound", "speaker": "ann"}), "aa", answer_of(2)
    )
    file.add(LabelledClip(Path("b.wav")), "bb", answer_of(40))
    assert file.close() == 3
    return path


def test_what_was_written_comes_back_with_the_choice(written):
    records = read_records(written)
    assert (len(records), records.preset, records.encoders) == (3, "mini", tuple(ENCODERS))
    table = records.table
    assert list(table["path"]) == ["a.wav", "b.wav", "b.wav"]
    assert list(table["window"]) == [0, 0, 1]
    assert table["task"].tolist()[0] == "sound"
    assert table["task"].isna().tolist() == [False, True, True]
    assert set(LABELS) <= set(table.columns)
    shares = records.probabilities()
    assert shares.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert table["choice"].tolist() == [ENCODERS[place] for place in shares.argmax(axis=1)]
    assert records.embeddings().shape == (3, 8)


def test_more_recordings_are_added_to_a_finished_file(written):
    file = RecordsFile(written, "mini", ENCODERS)
    assert len(file.done) == 2
    file.add(LabelledClip(Path("c.wav")), "cc", answer_of(1))
    assert file.close() == 4
    assert read_records(written).table["path"].tolist() == ["a.wav", "b.wav", "b.wav", "c.wav"]
    found = sorted(one.name for one in written.parent.iterdir())
    assert found == [written.name, f"{written.name}.sha256"]


def test_a_changed_byte_is_refused_until_the_sum_is_taken_away(written):
    content = bytearray(written.read_bytes())
    content[content.rindex(b"parquet-cpp")] ^= 1  # who wrote it: nothing that pyarrow looks at
    written.write_bytes(content)
    with pytest.raises(RecordsError, match="is not the file that .*.sha256 was written for"):
        read_records(written)
    (written.parent / f"{written.name}.sha256").unlink()
    assert len(read_records(written)) == 3


def test_parts_of_a_killed_run_are_joined_by_the_next(tmp_path):
    path = tmp_path / "r.parquet"
    killed = RecordsFile(path, "mini", ENCODERS)
    killed.add(LabelledClip(Path("a.wav")), "aa", answer_of(2))
    killed.flush()
    assert not path.exists()
    file = RecordsFile(path, "mini", ENCODERS)
    assert len(file.done) == 1
    assert file.close() == 1
    assert read_records(path).table["path"].tolist() == ["a.wav"]


def test_records_of_another_mixture_are_not_continued(written):
    with pytest.raises(RecordsError, match="holds records of mini with"):
        RecordsFile(written, "base-only", ())


@pytest.mark.parametrize(
    ("stamp", "message"),
    [
        ({}, "is no records file"),
        ({"format": "mowe-records", "version": "9"}, "records version 9, this program reads"),
        ({"format": "mowe-records", "version": "2"}, "lacks the columns"),
    ],
)
def test_other_tables_are_refused(tmp_path, stamp, message):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}).replace_schema_metadata(stamp), path)
    with pytest.raises(RecordsError, match=message):
        read_records(path)


def test_a_damaged_a_missing_and_an_empty_file_are_refused(tmp_path, written):
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(written.read_bytes()[:-40])
    with pytest.raises(RecordsError, match="cannot be read as Parquet"):
        read_records(cut)
    with pytest.raises(RecordsError, match="cannot be read as Parquet"):
        read_records(tmp_path / "nowhere.parquet")
    table = parquet.read_table(written)
    parquet.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(RecordsError, match="holds no recording"):
        read_records(tmp_path / "empty.parquet")


def test_a_label_that_nothing_has_names_those_there_are(written):
    records = read_records(written)
    assert len(records.labelled("task")) == 1
    with pytest.raises(RecordsError, match="no recording has a language; these records have task"):
        records.labelled("language")
    with pytest.raises(RecordsError, match="no label column 'colour'"):
        records.labelled("colour")


def test_the_schema_says_which_mixture_it_is(written):
    about = json.loads(parquet.read_schema(written).metadata[b"about"])
    assert about == {"preset": "mini", "encoders": list(ENCODERS)}


def test_pipes_devices_and_folders_are_not_hashed(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "link.wav").symlink_to(tmp_path / "file.wav")
    (tmp_path / "file.wav").write_bytes(b"abc")
    hashes = {one.name: content_sha256(one) for one in (tmp_path, *tmp_path.iterdir())}
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [hashes[name] for name in ("file.wav", "link.wav")] == [abc, abc]
    assert [hashes[name] for name in ("pipe.wav", "zero.wav", tmp_path.name)] == ["", "", ""]


# --- routing many recordings at once, on a real (random) mixture ---


def test_routing_does_not_depend_on_batch_mates_or_order(tiny_model):
    sounds = [tone(seconds, 200 + 90 * place) for place, seconds in enumerate((3.0, 1.2, 41.0, 3))]
    together = route_windows(tiny_model, sounds)
    assert [len(one) for one in together] == [1, 1, 2, 1]
    assert [round(one.routing.end, 2) for one in together[2]] == [30.0, 41.0]
    for recording, windows in zip(sounds, together, strict=True):
        (alone,) = route_windows(tiny_model, [recording])
        for one, other in zip(windows, alone, strict=True):
            assert one.routing.dependent == pytest.approx(other.routing.dependent, abs=1e-5)
            assert np.allclose(one.pooled, other.pooled, atol=1e-4)


def test_routing_alone_is_the_routing_of_an_answer(tiny_model):
    assistant = Assistant(tiny_model)
    recording = tone(2.5)
    routed = assistant.route(recording)
    *_, asked = assistant.stream(
        [Turn("user", "What?", (recording,))], sampling=Sampling(max_new_tokens=1)
    )
    assert routed.windows[0].dependent == pytest.approx(asked.windows[0].dependent, abs=1e-5)
    assert routed.windows[0].chosen == asked.windows[0].chosen
    assert np.allclose(routed.embedding, asked.embedding, atol=1e-5)
    name = assistant.encoder_names[0]
    forced = assistant.route(recording, control=RoutingControl(force=(name,)))
    assert forced.windows[0].chosen == (name,)


def test_a_batch_holds_a_minute_at_most_with_its_padding(tiny_model, monkeypatch):
    sizes, really = [], tiny_model.encode_base

    def watched(audio):
        (waveforms,) = audio.waveforms.values()
        sizes.append(waveforms.shape[0] * waveforms.shape[1] / 16_000)
        return really(audio)

    monkeypatch.setattr(tiny_model, "encode_base", watched)
    with torch.inference_mode():
        route_windows(tiny_model, [tone(seconds) for seconds in (29, 0.3, 25, 8, 9, 7)])
    assert max(sizes) <= BATCH_SECONDS + 0.01
    assert len(sizes) == 2
