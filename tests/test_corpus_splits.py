"""What is held out: one table, which sources, experiments, trainings and shipped files keep to."""

import hashlib
import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
import trainings
from test_corpus import ROOT, clip, source

from corpus import SOURCES, lines
from corpus.sources import midi, more_effects, more_instruments, named_sounds, world_sounds
from corpus.splits import ALL, SPLITS, TABLE, TEST_PEOPLE, split_of
from mowe.analysis.map.build import SHARES
from mowe.experiments.labelled import FAST
from mowe.training.run import build_run


def test_a_source_has_one_row_and_a_group_one_split():
    names = [row.source for row in TABLE]
    assert len(set(names)) == len(names)
    assert set(names) <= set(SOURCES)
    assert all(not {*row.dev} & {*row.test} for row in TABLE)


@pytest.mark.parametrize(
    ("name", "group", "split"),
    [
        ("ravdess", "14", "train"),
        ("ravdess", "15", "test"),
        ("ravdess", "18", "dev"),
        ("esc10", "3", "train"),
        ("esc10", "5", "test"),
        ("drascula", "whoever speaks", "dev"),
        ("world-sounds", "openttd-opensfx", "test"),
        ("more-instruments", "freepats", "test"),
        ("more-instruments", "timgm6mb-soundfont", "train"),
        ("people", "so762_9646", "test"),
        ("a source of one's own", "anybody", "train"),
    ],
)
def test_the_table_says_where_a_group_belongs(name, group, split):
    assert split_of(name, group) == split


def test_twenty_people_are_the_test_and_those_of_a_set_come_in_the_order_of_their_hashes():
    assert len(set(TEST_PEOPLE)) == 20
    strata = (TEST_PEOPLE[:4], TEST_PEOPLE[4:8], TEST_PEOPLE[8:11], TEST_PEOPLE[11:14])
    for people in (*strata, TEST_PEOPLE[16:]):
        digests = [hashlib.sha256(name.encode()).hexdigest() for name in people]
        assert digests == sorted(digests)


def test_the_packages_of_the_test_are_new_and_nothing_else_is_read_from_them():
    held = {group for row in TABLE if row.by in ("package", "library") for group in row.test}
    assert {"openttd-opensfx", "freepats"} <= held
    readers = [name for name in SOURCES for one in SOURCES[name].packages if one.name in held]
    assert sorted(readers) == ["guards", "more-instruments", "world-sounds"]


def test_a_package_is_in_the_same_split_for_every_source_that_reads_it():
    of_package = {one.name: "train" for one in more_effects.PACKAGES}
    of_package |= {one.name: split_of("named-sounds", one.name) for one in named_sounds.PACKAGES}
    for package in world_sounds.PACKAGES:
        known = of_package.get(package.name)
        assert known in (None, split_of("world-sounds", package.name))
    for split, font in midi.PACKAGES.items():
        assert split_of("more-instruments", font.name) == split
    assert more_instruments.FREEPATS.name not in {font.name for font in midi.PACKAGES.values()}


def test_the_experiments_hold_out_the_actors_that_the_corpus_holds_out():
    row = next(row for row in TABLE if row.source == "ravdess")
    for actor in range(1, 21):
        held = bool(re.search(FAST.test, f"ravdess-{actor} ravdess/a/emotion"))
        assert held == (str(actor) in row.test)
        assert not re.search(FAST.dev, f"ravdess-{actor} ravdess/a/emotion")


def test_training_gives_way_to_dev_and_both_to_the_test():
    same = [clip(split, split=split, text="Good bye!") for split in SPLITS]
    kept = lines.without_shared_sentences((source(), one) for one in same)
    assert [one.name for _, one in kept] == ["test"]
    kept = lines.without_shared_sentences((source(), one) for one in same[:2])
    assert [one.name for _, one in kept] == ["dev"]


def test_a_training_neither_learns_from_the_test_nor_is_judged_by_it(tmp_path):
    path = trainings.write_corpus(tmp_path)
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    shutil.copy(tmp_path / rows[0]["audio"], tmp_path / "kept.wav")
    rows.append(rows[0] | {"audio": "kept.wav", "split": "test"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = build_run(trainings.settings(path))
    heard = [one for group in run.groups.values() for one in group]
    heard += [one.example for one in run.dev]
    assert len(heard) == 7
    assert "kept.wav" not in {one.audio.name for one in heard}


def test_nothing_of_the_test_is_on_the_map():
    assert "test" not in {share.split for share in SHARES}
    rows = pq.read_table(
        ROOT / "assets/map/records.parquet", columns=["dataset", "speaker", "path"]
    )
    for row in rows.to_pylist():
        spoken = str(row["speaker"] or "").removeprefix("ravdess-")
        assert split_of(row["dataset"], spoken) != "test"
        assert not (row["dataset"] == "esc10" and re.search(r"/5-\d", row["path"]))


def test_no_example_comes_from_the_test():
    folder = ROOT / "assets/examples"
    text = (ROOT / "assets/ATTRIBUTION.md").read_text(encoding="utf-8").split("## The map")[0]
    assert (folder / "examples.json").is_file()
    for row in TABLE:
        for group in row.test:
            if len(group) > 2 and group != ALL:  # an actor's or a fold's number is no name
                assert group not in text
    assert not re.search(r"`5-\d+-[A-Z]`", text)  # fold 5
    assert "RAVDESS" not in text
