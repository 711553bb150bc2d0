"""Verdicts on licences: one a source, the same in code, on the page and for the map."""

import json
import re

import pytest
from test_corpus import ROOT

from corpus.card import is_non_commercial
from corpus.sources import SERVES, SOURCES
from corpus.terms import COMPONENTS, VERDICTS, page, taken_from
from mowe.analysis.map.build import SHARES
from mowe.weights import COMPONENTS as FETCHED

PAGE = (ROOT / "assets/ATTRIBUTION.md").read_text(encoding="utf-8")


def test_every_source_has_a_verdict_and_every_component_an_origin():
    assert set(VERDICTS) == set(SOURCES) == set(SERVES)
    assert set(COMPONENTS) == set(FETCHED)


def test_the_page_holds_the_verdicts_of_the_code():
    assert page(PAGE) == PAGE
    assert page(PAGE.replace("| neither |", "| ships |")) == PAGE


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs the marks"):
        page("nothing")


def test_what_is_non_commercial_neither_ships_nor_trains():
    restricted = {name for name, one in SOURCES.items() if is_non_commercial(one.licence)}
    assert restricted == {"ravdess"}
    assert [name for name, one in VERDICTS.items() if one.word == "neither"] == ["ravdess"]


def test_licences_of_components_are_those_of_the_catalogue():
    for name, one in COMPONENTS.items():
        assert one.licence.replace(" ", "-") == FETCHED[name].licence.replace(" ", "-")


def test_the_map_ships_only_what_may_ship():
    assert {share.source for share in SHARES if share.shipped} <= {
        name for name, one in VERDICTS.items() if one.ships
    }


@pytest.mark.parametrize("name", ["mini", "mini-answers"])
def test_the_page_says_what_todays_recipes_take_from_ravdess(name):
    recipe = json.loads((ROOT / f"mowe/training/recipes/{name}.json").read_text())
    taken = taken_from("ravdess", list(recipe["data"]["task_weights"]))
    said = re.search(r"Of `ravdess` today's recipes .*? take:\s+([^.]+)\.", PAGE, re.DOTALL)
    assert sorted(said[1].split(", ")) == sorted(taken) != []
