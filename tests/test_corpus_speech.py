"""Readers of recorded and synthetic voices: what file names, scripts and tables say."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus import rnc
from corpus.clips import CorpusSettings, Materials
from corpus.download import CorpusError, Package
from corpus.languages import NAMES
from corpus.sources import (
    fish_fillets,
    kde_words,
    ravdess,
    steel_sky,
    tux_paint,
)


def unpacked(root: Path, package: Package) -> Path:
    """An empty folder where the files of a package are looked for."""
    folder = root / "work" / f"{package.name}-{package.sha256[:8]}"
    folder.mkdir(parents=True)
    return folder


def materials_in(root: Path, **settings: object) -> Materials:
    return Materials(CorpusSettings(**settings), root / "packages", root / "work")


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("03-01-05-01-02-01-12", ("angry", "dogs", 12, "woman", "train")),
        ("03-01-08-02-01-02-17", ("surprised", "kids", 17, "man", "test")),
        ("03-01-01-01-01-01-18", ("neutral", "kids", 18, "woman", "dev")),
        ("03-01-02-01-01-01-21", ("calm", "kids", 21, "man", "")),
        ("03-01-02-01-01-01-14", ("calm", "kids", 14, "woman", "train")),
    ],
)
def test_a_take_says_who_feels_what(stem, expected):
    take = ravdess.read_name(stem)
    assert take is not None
    assert (take.emotion, take.subject, take.actor, take.gender, take.split) == expected


@pytest.mark.parametrize(
    "stem",
    ["02-01-05-01-02-01-12", "03-02-05-01-02-01-12", "03-01-09-01-01-01-01", "03-01-05", "a-b"],
)
def test_video_song_and_other_names_are_left_out(stem):
    assert ravdess.read_name(stem) is None


def test_actors_folders_are_read_and_unused_actors_left(tmp_path):
    for actor in (3, 19, 22):
        folder = tmp_path / f"Actor_{actor:02d}"
        folder.mkdir()
        (folder / f"03-01-03-01-02-01-{actor:02d}.wav").touch()
    materials = Materials(CorpusSettings(ravdess=tmp_path), tmp_path, tmp_path)
    clips = list(ravdess.SOURCE.read(materials))
    assert {(clip.speaker, clip.split, clip.emotion) for clip in clips} == {
        ("ravdess-3", "train", "happy"),
        ("ravdess-19", "dev", "happy"),
    }
    assert all(not clip.text for clip in clips)  # both splits say the same two sentences
    assert clips[0].asks[0].turns[-1][1] == "Dogs."


def test_one_folder_of_ogg_files_is_read_like_actors_folders(tmp_path):
    for name in ("03-01-06-01-01-01-04.ogg", "03-01-06-01-01-01-20.ogg", "notes.ogg"):
        (tmp_path / name).touch()
    clips = list(ravdess.SOURCE.read(materials_in(tmp_path, ravdess=tmp_path)))
    assert [(clip.speaker, clip.gender, clip.split) for clip in clips] == [
        ("ravdess-4", "woman", "train"),
        ("ravdess-20", "woman", "dev"),
    ]
    assert "NC" in ravdess.SOURCE.licence


def test_a_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        list(ravdess.SOURCE.read(materials_in(tmp_path, ravdess=tmp_path / "absent")))
    with pytest.raises(CorpusError, match="--ravdess"):
        list(ravdess.SOURCE.read(Materials(CorpusSettings(), tmp_path, tmp_path)))
    (tmp_path / "empty").mkdir()
    settings = CorpusSettings(ravdess=tmp_path / "empty")
    with pytest.raises(CorpusError, match="no recording named like"):
        list(ravdess.SOURCE.read(Materials(settings, tmp_path, tmp_path)))


def test_stamps_need_their_text(tmp_path):
    (tmp_path / "cat.txt").write_text("A cat.\nfr.utf8=Un chat.\nde.utf8=Eine Katze.\n")
    for name in ("cat_desc_fr.ogg", "cat_desc_de.ogg", "cat_desc_ru.ogg", "cat.ogg"):
        (tmp_path / name).touch()
    (stamp,) = tux_paint.stamps(tmp_path)  # German is not used, Russian has no text
    assert (stamp.code, stamp.text, stamp.english) == ("fr", "Un chat.", "A cat.")


def test_a_stamps_first_line_is_english_and_others_name_their_language():
    texts = tux_paint.read_texts("A lion.\nes.utf8= Un león. \nnot a line\nca.utf8=Un lleó.\n")
    assert texts == {"en": "A lion.", "es": "Un león.", "ca": "Un lleó."}
    assert tux_paint.read_texts("") == {"en": ""}


def test_stamps_train_one_speaker_a_language_up_to_the_cap(tmp_path, monkeypatch):
    monkeypatch.setattr(tux_paint, "CAP", 2)
    stamps = unpacked(tmp_path, tux_paint.PACKAGE) / "usr/share/tuxpaint/stamps/animals"
    stamps.mkdir(parents=True)
    for animal in ("cat", "dog", "hen"):
        (stamps / f"{animal}.txt").write_text(f"A {animal}.\nfr.utf8=Un {animal}.\n")
        touch(stamps / f"{animal}_desc_fr.ogg")
    clips = list(tux_paint.SOURCE.read(materials_in(tmp_path)))
    assert len(clips) == 2
    assert {(c.speaker, c.language, c.split) for c in clips} == {("tuxpaint-fr", "French", "train")}
    assert all(clip.name.startswith("animals-") for clip in clips)


SCRIPT = """
dialogId("dir-m-ahoj", "font_small", "Hello there.")
dialogStr("Ahoj.")

dialogId("dir-v-co", "font_big", "What is it?")
dialogId("dir-x", "font_statue", "Not said.")
dialogStr("Nic.")
"""


def test_a_script_pairs_lines_with_their_english(tmp_path):
    lines = fish_fillets.read_script(SCRIPT)
    assert lines["dir-m-ahoj"] == fish_fillets.Spoken("font_small", "Hello there.", "Ahoj.")
    assert lines["dir-x"].text == "Nic."
    assert "dir-v-co" not in lines  # has no line of its own
    level = tmp_path / "script" / "airplane"
    level.mkdir(parents=True)
    (level / "dialogs_cs.lua").write_text(SCRIPT)
    assert ("airplane", "dir-x") in fish_fillets.read_scripts(tmp_path, "cs")
    assert fish_fillets.PARTS["font_small"][1] == "woman"


def test_the_fish_are_two_people_a_language_and_side_parts_have_no_gender(tmp_path):
    scripts = unpacked(tmp_path, fish_fillets.SCRIPTS)
    for code, package in fish_fillets.VOICES.items():
        script = scripts / "script/airplane" / f"dialogs_{code}.lua"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(SCRIPT.replace("Ahoj", code))
        sounds = unpacked(tmp_path, package) / "usr/share/games/fillets-ng/sound"
        for name in ("dir-m-ahoj", "dir-x", "no-line"):
            touch(sounds / f"airplane/{code}/{name}.ogg")
    clips = {clip.name: clip for clip in fish_fillets.SOURCE.read(materials_in(tmp_path))}
    assert set(clips) == {
        f"{code}-airplane-{name}" for code in ("cs", "nl") for name in ("dir-m-ahoj", "dir-x")
    }
    fish, side = clips["nl-airplane-dir-m-ahoj"], clips["nl-airplane-dir-x"]
    assert (fish.speaker, fish.gender) == ("fish-fillets-nl-small-fish", "woman")
    assert (fish.language, fish.text, fish.english) == ("Dutch", "nl.", "Hello there.")
    assert (side.speaker, side.gender) == ("fish-fillets-nl-unnamed", "")
    assert "gender" in fish.tasks
    assert "gender" not in side.tasks
    assert {clip.split for clip in clips.values()} == {"train"}


def test_four_words_and_their_gaps_make_one_dev_clip(tmp_path):
    sounds = unpacked(tmp_path, kde_words.PACKAGE) / "usr/share/ktuberling/sounds/el"
    sounds.mkdir(parents=True)
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(17_640) / 44_100)  # 0.4 s
    for number in range(5):
        soundfile.write(sounds / f"w{number}.wav", tone, 44_100)
    (clip,) = kde_words.SOURCE.read(materials_in(tmp_path))  # the fifth word is left over
    assert (clip.speaker, clip.language, clip.split) == ("ktuberling-el", "Greek", "dev")
    samples, rate = clip.load()
    assert len(samples) / rate == pytest.approx(4 * 0.4 + 3 * 0.25, abs=0.01)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (tux_paint, "no spoken description"),
        (fish_fillets, "no clip that its scripts name"),
        (kde_words, "no folder of sounds"),
    ],
)
def test_a_package_without_its_files_is_one_clear_error(tmp_path, reader, said):
    for package in reader.SOURCE.packages:
        unpacked(tmp_path, package)
    with pytest.raises(CorpusError, match=said):
        list(reader.SOURCE.read(materials_in(tmp_path)))


def test_words_are_joined_in_fours_each_once():
    files = [Path(f"w{number}.ogg") for number in range(11)]
    groups = kde_words.groups_of_words(files, "fr")
    assert [len(group) for group in groups] == [4, 4]
    assert len({path for group in groups for path in group}) == 8
    assert groups == kde_words.groups_of_words(files[::-1], "fr")


def test_languages_that_are_tested_are_also_taught():
    taught = {*tux_paint.LANGUAGES, *fish_fillets.VOICES, "en", "it"}  # Asterisk: en es fr it ru
    assert set(kde_words.LANGUAGES) <= taught
    assert all(code in NAMES for code in (*kde_words.LANGUAGES, *taught))


def section(texts: list[str]) -> bytes:
    """A section's lines as the game keeps them: offsets, joint lengths, lengths, letters."""
    codes = {letter: code for code, letter in steel_sky.letter_codes().items()}
    rows = ["".join(codes[byte] for byte in (*text.encode("cp437"), 0)) for text in texts]
    rows = [row + "0" * (-len(row) % 16) for row in rows]  # whole steps of 8 pairs, as long ones
    sizes = [len(row) // 2 for row in rows]
    joint = [sum(sizes[start : start + 32]) for start in range(0, len(sizes), 32)]
    steps = bytes(0x80 | size >> 3 if size > 0x7F else size for size in sizes)
    lengths = 4 + 2 * len(joint)
    head = struct.pack(f"<HH{len(joint)}H", lengths, lengths + len(steps), *joint)
    bits = "".join(rows)
    letters = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return head + steps + letters


def steel_sky_disk(root: Path, files: dict[int, bytes]) -> Path:
    """The game's two files, filled up with empty entries."""
    folder = unpacked(root, steel_sky.PACKAGE)
    table, disk = [], bytearray(16)
    for number, data in files.items():
        far = len(table) % 2  # every other file lies at a multiple of 16 bytes
        disk += bytes(-len(disk) % 16) if far else b""
        place = len(disk) // 16 | 1 << 23 if far else len(disk)
        table.append((number, place, len(data) | 1 << 23))
        disk += data
    table += [(1, 0, 0)] * (5097 - len(table))
    rows = (
        struct.pack("<H", n) + place.to_bytes(3, "little") + size.to_bytes(3, "little")
        for n, place, size in table
    )
    (folder / "sky.dnr").write_bytes(struct.pack("<I", 5097) + b"".join(rows))
    (folder / "sky.dsk").write_bytes(disk)
    return folder


def test_a_code_of_the_steel_sky_is_never_the_beginning_of_another():
    codes = sorted(steel_sky.letter_codes())
    assert len(codes) == 123
    assert sum(2.0 ** -len(code) for code in codes) == 1.0  # and none is missing
    assert not any(b.startswith(a) for a, b in itertools.pairwise(codes))
    found = steel_sky.letter_codes()
    assert (found["000"], found["0010"], found["0011"]) == (ord(" "), ord("e"), ord("a"))


def test_lines_of_the_steel_sky_are_read_across_blocks_and_long_ones():
    texts = [f"Line {number}." for number in range(70)]
    texts[33] = "It was deliberate SABOTAGE by SECURITY, you know! " * 3
    assert steel_sky.read_lines(section(texts)) == texts
    with pytest.raises(CorpusError, match="does not end"):
        steel_sky.read_lines(section(["I am not whole."])[:-3])


def test_speech_of_the_steel_sky_meets_its_lines(tmp_path):
    lines = {
        0: ["not spoken", "I've no IDEA.", "It says `EXIT' here.", "It's 30 feet."],
        1: ["Hey!"],
    }
    files = {60_600 + number: section(lines.get(number, ["-"])) for number in range(8)}
    loud = bytes(22) + bytes([128, 255, 0, 128])
    files |= {50_001: loud, 50_002: loud, 50_003: loud, 50_600: loud}
    steel_sky_disk(tmp_path, files)
    clips = {clip.name: clip for clip in steel_sky.SOURCE.read(materials_in(tmp_path))}
    assert {name: clip.text for name, clip in clips.items()} == {
        "50001": "I've no idea.",
        "50002": "It says exit here.",
        "50600": "Hey!",  # the second section begins behind room for 600 lines
    }
    samples, rate = clips["50001"].load()
    assert rate == 11_025
    np.testing.assert_allclose(samples, [0, 127 / 128, -1, 0])
    assert {clip.split for clip in clips.values()} == {"train"}


def test_another_version_and_a_cut_disk_of_the_steel_sky_are_refused(tmp_path):
    folder = steel_sky_disk(tmp_path, {60_600 + n: section(["-"]) for n in range(8)})
    disk = (folder / "sky.dsk").read_bytes()
    (folder / "sky.dsk").write_bytes(disk[:-4])
    with pytest.raises(CorpusError, match="file 60607 should have"):
        list(steel_sky.SOURCE.read(materials_in(tmp_path)))
    (folder / "sky.dnr").write_bytes(struct.pack("<I", 1445) + bytes(8 * 1445))
    with pytest.raises(CorpusError, match="should list 5097 files, found 1445"):
        list(steel_sky.SOURCE.read(materials_in(tmp_path)))


class PackedFile:
    """A file of Rob Northen's first method, written bit by bit."""

    def __init__(self) -> None:
        self.out, self.word, self.used = bytearray(), -2, 16
        self.put(2, 0)

    def put(self, count: int, value: int) -> None:
        for bit in range(count):
            if self.used == 16:  # a word is begun where its first bit is needed
                self.word, self.used = len(self.out), 0
                self.out += bytes(2)
            if value >> bit & 1:
                self.out[self.word + self.used // 8] |= 1 << self.used % 8
            self.used += 1

    def table(self, sizes: dict[int, int]) -> dict[int, tuple[int, int]]:
        """Write code lengths by symbol; each symbol's bits, lowest first, and their count."""
        count = max(sizes, default=-1) + 1
        self.put(5, count)
        for symbol in range(count):
            self.put(4, sizes.get(symbol, 0))
        codes, code = {}, 0
        for size in range(1, 16):
            for symbol in sorted(sizes):
                if sizes[symbol] == size:
                    codes[symbol] = int(f"{code:0{size}b}"[::-1], 2), size
                    code += 1
            code <<= 1
        return codes

    def number(self, codes: dict[int, tuple[int, int]], value: int) -> None:
        symbol = value.bit_length() if value >= 2 else value
        bits, size = codes[symbol]
        self.put(size, bits)
        if value >= 2:
            self.put(symbol - 1, value & ((1 << (symbol - 1)) - 1))

    def whole(self, unpacked: int, blocks: int) -> bytes:
        head = struct.pack(">4sIIHHBB", b"RNC\x01", unpacked, len(self.out), 0, 0, 0, blocks)
        return head + bytes(self.out)


def packed_song() -> tuple[bytes, bytes]:
    """Two blocks: literals, copies that run into themselves, an empty run, literals again."""
    file = PackedFile()
    runs = file.table({0: 2, 2: 1, 3: 3, 4: 3})
    distances, lengths = file.table({2: 1, 4: 1}), file.table({1: 2, 3: 1, 4: 2})
    file.put(16, 3)
    file.number(runs, 3)
    file.out += b"la "
    file.number(distances, 3 - 1)
    file.number(lengths, 9 - 2)  # three rounds of what has just been written
    file.number(runs, 0)
    file.number(distances, 12 - 1)
    file.number(lengths, 3 - 2)
    file.number(runs, 5)
    file.out += b"lalu!"
    runs = file.table({2: 1})
    file.table({}), file.table({})
    file.put(16, 1)
    file.number(runs, 2)
    file.out += b"\xffz"
    song = b"la la la la la lalu!\xffz"
    return file.whole(len(song), 2), song


def test_packed_files_give_what_was_packed():
    packed, song = packed_song()
    assert rnc.is_packed(packed)
    assert rnc.unpack(packed) == song
    assert not rnc.is_packed(song)


def test_packed_files_that_are_cut_or_wrong_are_refused():
    packed, song = packed_song()
    with pytest.raises(CorpusError, match="should begin with"):
        rnc.unpack(song)
    with pytest.raises(CorpusError, match=r"should have \d+ bytes behind its head, found"):
        rnc.unpack(packed[:-3])
    wrong = struct.pack(">I", len(song) + 1)
    with pytest.raises(CorpusError, match=f"should hold {len(song) + 1} bytes, found {len(song)}"):
        rnc.unpack(packed[:4] + wrong + packed[8:])
    early = PackedFile()
    runs, distances, lengths = early.table({2: 1}), early.table({2: 1}), early.table({1: 1})
    early.put(16, 2)
    early.number(runs, 2)
    early.out += b"ab"
    early.number(distances, 3 - 1)
    early.number(lengths, 3 - 2)
    early.number(runs, 2)
    early.out += b"cd"
    with pytest.raises(CorpusError, match="copies from 1 bytes before"):
        rnc.unpack(early.whole(7, 1))
    empty = PackedFile()
    for _ in range(3):
        empty.table({})
    empty.put(16, 1)
    with pytest.raises(CorpusError, match="not in its table"):
        rnc.unpack(empty.whole(1, 1))


def test_packed_speech_of_the_steel_sky_is_unpacked(tmp_path):
    packed, song = packed_song()
    files = {60_600 + n: section(["Hey!"] if n == 0 else ["-"]) for n in range(8)}
    steel_sky_disk(tmp_path, files | {50_000: bytes(22) + packed})
    (clip,) = steel_sky.SOURCE.read(materials_in(tmp_path))
    samples, _ = clip.load()
    np.testing.assert_allclose(samples * 128 + 128, list(song))
