"""JSON, sums and names: what is damaged is named in one sentence, and nothing leads elsewhere."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from mowe.config import EncoderConfig
from mowe.errors import ConfigError, ManifestError, RecordsError
from mowe.files import (
    SUMS,
    check_sum,
    check_sums,
    file_sha256,
    is_file_name,
    read_json,
    read_jsonl,
    read_sealed,
    sum_file,
    tensor_files,
    write_json,
    write_sealed,
    write_sum,
    write_sums,
)


@pytest.fixture
def folder(tmp_path):
    """Three files with their sums."""
    made = tmp_path / "made"
    (made / "clips").mkdir(parents=True)
    for name in ("a.json", "b.bin", "clips/c.opus"):
        (made / name).write_text(name)
    write_sums(made)
    return made


def test_the_sha256_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    assert file_sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": ', "s.json is not JSON: Expecting value at character 7"),
        (b"[1]", "s.json must be an object, found list"),
        (b"\xff\xfe", "s.json is not text in UTF-8"),
        (b"[" * 100_000, "s.json is not JSON"),
        (None, "s.json cannot be read: No such file"),
    ],
)
def test_json_that_cannot_be_used_is_named_with_the_fix(tmp_path, content, said):
    path = tmp_path / "s.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{said}.*; write it again$"):
        read_json(path, ConfigError, "write it again")


def test_lines_are_counted_from_one_and_blank_ones_are_left_out(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"a": "line\u2028separator"}\n\n{"a": 2}\n', encoding="utf-8")
    found = list(read_jsonl(path, ManifestError))
    assert found == [("m.jsonl line 1", {"a": "line\u2028separator"}), ("m.jsonl line 3", {"a": 2})]
    path.write_text('{"a": 1}\n7\n')
    with pytest.raises(ManifestError, match="m.jsonl line 2 must be an object, found int"):
        list(read_jsonl(path, ManifestError))


def test_json_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "new/a.json", {"a": 1})
    assert json.loads((tmp_path / "new/a.json").read_text()) == {"a": 1}
    with pytest.raises(TypeError):
        write_json(tmp_path / "new/a.json", {"a": object()})
    assert read_json(tmp_path / "new/a.json", ConfigError) == {"a": 1}
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["a.json"]


# --- sums of a folder ---------------------------------------------------------------------------


def test_a_folder_as_it_was_written_passes_and_one_without_sums_says_so(folder):
    assert check_sums(folder, RecordsError)
    assert set(json.loads((folder / SUMS).read_text())) == {"a.json", "b.bin", "clips/c.opus"}
    (folder / SUMS).unlink()
    assert not check_sums(folder, RecordsError)


def test_a_changed_byte_anywhere_is_found(folder):
    for name in ("a.json", "b.bin", "clips/c.opus"):
        content = (folder / name).read_bytes()
        for place in range(len(content)):
            changed = bytearray(content)
            changed[place] ^= 1
            (folder / name).write_bytes(changed)
            with pytest.raises(RecordsError, match=f"^{name} of made changed since"):
                check_sums(folder, RecordsError)
        (folder / name).write_bytes(content)
    assert check_sums(folder, RecordsError)


def test_a_missing_and_an_extra_file_are_named(folder):
    (folder / "clips/d.opus").touch()
    with pytest.raises(RecordsError, match="^made holds clips/d.opus, unknown to its sums.json"):
        check_sums(folder, RecordsError)
    (folder / "clips/d.opus").unlink()
    (folder / "b.bin").unlink()
    with pytest.raises(RecordsError, match="^made lacks b.bin, which its sums.json names"):
        check_sums(folder, RecordsError)


def test_prose_and_hidden_files_may_be_edited(folder):
    (folder / "README.md").write_text("new")
    (folder / ".cache").mkdir()
    (folder / ".cache/x").touch()
    assert check_sums(folder, RecordsError)


# --- sums of single files -----------------------------------------------------------------------


def test_the_sum_beside_a_file_is_what_sha256sum_reads(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"abc")
    check_sum(path, RecordsError)  # none yet
    write_sum(path)
    assert sum_file(path).read_text() == f"{hashlib.sha256(b'abc').hexdigest()}  a.parquet\n"
    check_sum(path, RecordsError)
    path.write_bytes(b"abd")
    with pytest.raises(RecordsError, match="a.parquet is not the file that a.parquet.sha256 was"):
        check_sum(path, RecordsError)


def test_a_sealed_file_is_nothing_after_any_change(tmp_path):
    path = tmp_path / "new/x"
    assert read_sealed(path) is None
    write_sealed(path, b"abc")
    assert read_sealed(path) == b"abc"
    whole = path.read_bytes()
    for changed in (whole[:-1], whole + b"x", b"abd" + whole[3:], b""):
        path.write_bytes(changed)
        assert read_sealed(path) is None


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", " ", "a/b", "/a", "..\\a", "C:a", "a\0", "a\n"])
def test_names_that_lead_elsewhere_are_no_file_names(name):
    assert not is_file_name(name)
    with pytest.raises(ConfigError, match="an encoder's name is one that a folder can have"):
        EncoderConfig(name=name, family="whisper", source="random")


def test_ordinary_names_are_file_names():
    assert all(map(is_file_name, ("whisper-tiny.en", "..a", "a b", "große Töne")))


def test_an_index_without_places_is_refused(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    for content in ("{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'):
        index.write_text(content)
        with pytest.raises(ConfigError, match="has no weight_map of file names"):
            tensor_files(tmp_path, ConfigError)


def test_json_files_are_read_and_files_are_summed_in_one_place():
    root = Path(__file__).parents[1]
    reads = re.compile(r"json\.loads?\([^)\n]*read_text|file_digest\(")
    found = {
        path.relative_to(root).as_posix()
        for folder in ("mowe", "analysis", "corpus", "benchmarks")
        for path in (root / folder).rglob("*.py")
        if reads.search(path.read_text(encoding="utf-8"))
    }
    # what is read as a recording is opened with care: a pipe must not be waited for;
    # the list of our own example clips is no object
    others = {"mowe/audio/files.py", "mowe/ui/shared/examples.py"}
    assert found == {"mowe/files.py"} | others
