"""What the shipped checkpoint was trained on: recipes, corpus, model card and attribution agree."""

import json
import re
from pathlib import Path

import pytest

from corpus import compose
from corpus.sources import SOURCES
from corpus.splits import HELD_OUT, split_of

ROOT = Path(__file__).parents[1]
RECIPES = ("mini", "mini-answers")  # the shipped checkpoint's, in their order
CODE = re.compile(r"`([a-z0-9-]+)`")


def section(page, title):
    """The text under a heading, up to the next one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def recipe(name):
    return json.loads((ROOT / f"mowe/training/recipes/{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def trained():
    """Sources that the card calls trained on."""
    text = section("assets/mowe-mini/README.md", "Trained on").split("ATTRIBUTION.md")[0]
    return {name for name in CODE.findall(text) if name in SOURCES or name == compose.SOURCE.name}


@pytest.fixture
def attributed():
    """Sources in the attribution's table of training data, and those that it calls held out."""
    text = section("assets/ATTRIBUTION.md", "Training data of the shipped checkpoint (not shipped)")
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    held_out = next(part for part in text.split("\n\n") if part.startswith("Held out"))
    return {name for row in rows for name in CODE.findall(row)}, set(CODE.findall(held_out))


def test_card_and_attribution_name_the_same_sources_as_trained_on(trained, attributed):
    assert trained - {compose.SOURCE.name} == attributed[0]


def test_every_source_of_the_corpus_is_named_as_trained_on_held_out_or_new(attributed):
    training, held_out = attributed
    text = (ROOT / "assets/ATTRIBUTION.md").read_text(encoding="utf-8")
    new = next(line for line in text.splitlines() if line.startswith("New to the corpus"))
    names = [*training, *held_out, *CODE.findall(new)]
    assert sorted(names) == sorted(SOURCES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_draws_from_no_source_that_is_not_named_as_trained_on(name, trained):
    data = recipe(name)["data"]
    drawn = {*data["upsampling"], *data["fixed_version_sources"]}
    assert drawn - trained == set()


def test_no_page_says_that_a_source_was_not_trained_on_but_those_held_out(attributed):
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in ("assets/ATTRIBUTION.md",)]
    denied = [text for page in pages for text in re.findall(r"[^.\n]*\bno training\b[^.]*", page)]
    assert denied == []


def test_held_out_sources_give_no_clip_to_training(attributed):
    for name in attributed[1]:
        assert split_of(name, "any group") in HELD_OUT


def test_every_recipe_of_the_card_is_in_the_tree_and_the_script():
    card = (ROOT / "assets/mowe-mini/README.md").read_text(encoding="utf-8")
    script = (ROOT / "runs/mini.sh").read_text(encoding="utf-8")
    for name in RECIPES:
        assert f"mowe/training/recipes/{name}.json" in card
        assert re.search(rf"^train \w+ {name} ", script, re.MULTILINE)
    for step in ("mowe.training.labels", "mowe.training.copying"):
        assert step in card
        assert step in script
