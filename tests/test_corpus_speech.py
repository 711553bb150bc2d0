"""Readers of RAVDESS, Tux Paint, Fish Fillets and KTuberling: what their names and scripts say."""

from pathlib import Path

import pytest

from mowe.training.corpus.clips import Materials, Settings
from mowe.training.corpus.download import CorpusError
from mowe.training.corpus.languages import NAMES
from mowe.training.corpus.sources import fish_fillets, kde_words, ravdess, tux_paint


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("03-01-05-01-02-01-12", ("angry", "dogs", 12, "woman", "train")),
        ("03-01-08-02-01-02-17", ("surprised", "kids", 17, "man", "train")),
        ("03-01-01-01-01-01-18", ("neutral", "kids", 18, "woman", "dev")),
        ("03-01-02-01-01-01-21", ("calm", "kids", 21, "man", "")),
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
    materials = Materials(Settings(ravdess=tmp_path), tmp_path, tmp_path)
    clips = list(ravdess.SOURCE.read(materials))
    assert {(clip.speaker, clip.split, clip.emotion) for clip in clips} == {
        ("ravdess-3", "train", "happy"),
        ("ravdess-19", "dev", "happy"),
    }
    assert all(not clip.text for clip in clips)  # both splits say the same two sentences
    assert clips[0].asks[0].turns[-1][1] == "Dogs."


def test_a_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(CorpusError, match="--ravdess"):
        list(ravdess.SOURCE.read(Materials(Settings(), tmp_path, tmp_path)))
    (tmp_path / "empty").mkdir()
    settings = Settings(ravdess=tmp_path / "empty")
    with pytest.raises(CorpusError, match="no recording named like"):
        list(ravdess.SOURCE.read(Materials(settings, tmp_path, tmp_path)))


def test_stamps_need_their_text(tmp_path):
    (tmp_path / "cat.txt").write_text("A cat.\nfr.utf8=Un chat.\nde.utf8=Eine Katze.\n")
    for name in ("cat_desc_fr.ogg", "cat_desc_de.ogg", "cat_desc_ru.ogg", "cat.ogg"):
        (tmp_path / name).touch()
    (stamp,) = tux_paint.stamps(tmp_path)  # German is not used, Russian has no text
    assert (stamp.code, stamp.text, stamp.english) == ("fr", "Un chat.", "A cat.")


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
