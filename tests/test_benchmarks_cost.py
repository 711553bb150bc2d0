"""What the mixture costs: the counting, the scaling and the page; the measuring is `make bench`."""

import json

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from benchmarks.cost import built, measure, spread
from benchmarks.variants import (
    count,
    listen,
    parameters,
    prefill,
    read,
    scaled,
    variants,
    whole_language_model,
)
from mowe.errors import ExperimentError
from mowe.experiments.cost import (
    BASE,
    BESIDE,
    DENSE,
    DEPENDS,
    FAILS,
    HEAVIEST,
    HOLDS,
    LIGHTEST,
    ROUTERS,
    UNDECIDED,
    cost_section,
    read_cost,
    verdict,
)
from mowe.experiments.pages import paper_page
from mowe.presets import PAPER_DIVERSE, TINY_RANDOM


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return built(TINY_RANDOM, "cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    return path


def test_multiply_adds_are_those_of_a_layer_worked_out_by_hand():
    sound = torch.zeros(2, 7, 3)
    assert count(lambda: nn.Linear(3, 5)(sound))[1] == 2 * 7 * 3 * 5
    assert count(lambda: nn.LSTM(3, 5, batch_first=True)(sound))[1] == 2 * 7 * 4 * 5 * (3 + 5)
    heads = torch.zeros(1, 2, 7, 4)  # two heads of width 4: scores, then their weighted sums
    attend = nn.functional.scaled_dot_product_attention
    assert count(lambda: attend(heads, heads, heads))[1] == 2 * (2 * 7 * 7 * 4)


def test_a_language_model_of_the_papers_size_is_counted_without_its_memory():
    whole = whole_language_model(PAPER_DIVERSE)
    assert round(parameters(whole.model) / 1e9, 2) == 8.03
    layer = 4096 * (2 * 4096 + 2 * 1024 + 3 * 14_336)  # queries, output; keys, values; the MLP
    tokens, head = 140, 4096 * 128_256
    attention = 2 * tokens * tokens * 4096
    assert prefill(whole, 100) == 32 * (tokens * layer + attention) + head


def test_variants_run_the_encoders_that_their_names_say(model, clip):
    with torch.inference_mode():
        found = {
            one.name: listen(one, clip) for one in variants(model, [30, 10, 20], trained=False)
        }
    assert {name: heard.chosen for name, heard in found.items()} == {
        BASE: (), LIGHTEST: (1,), HEAVIEST: (0, 2), DENSE: (0, 1, 2), BESIDE: (0, 1, 2),
    }  # fmt: skip
    assert len({heard.tokens.shape for heard in found.values()}) == 1


def test_layers_that_are_not_there_are_scaled_and_the_output_layer_is_not(model, clip):
    assert scaled(5.0, 1.0, 8.0) == 33.0
    with torch.inference_mode():
        tokens = listen(variants(model, [1, 2, 3], trained=False)[0], clip).tokens[0]
        whole, scaled_up = read(model, tokens, layers=2), read(model, tokens, layers=2000)
    assert 0 < whole["first"] < whole["answer"]
    assert scaled_up["first"] > 10 * whole["first"]


@pytest.mark.parametrize("once", [False, True])
def test_every_variant_has_its_numbers_and_the_base_is_compared_with_itself(model, clip, once):
    found = measure(model, TINY_RANDOM, clip, rounds=2, once=once)
    base, *others = found["variants"]
    assert (base["name"], base["ratios"]["first"]) == (BASE, {"median": 1, "low": 1, "high": 1})
    assert all(one["parameters"] > base["parameters"] for one in others)
    assert all(one["multiply_adds"] > base["multiply_adds"] for one in others)
    by_name = {one["name"]: one for one in others}
    assert by_name[HEAVIEST]["multiply_adds"] > by_name[LIGHTEST]["multiply_adds"]
    for one in found["variants"]:
        seconds = {field: value["median"] for field, value in one["seconds"].items()}
        assert 0 < seconds["hearing"] < seconds["first"] < seconds["answer"]
    assert all(0 < found["routers"][name]["median"] < 1 for name in ROUTERS)


def test_a_spread_is_the_median_between_quartiles():
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == {"median": 3.0, "low": 2.0, "high": 4.0}


def times(first):
    def near(middle):
        return {"median": middle, "low": middle - 0.02, "high": middle + 0.02}

    return {"hearing": near(first / 2), "first": near(first), "answer": near(first + 1)}


def size(lightest, heaviest):
    """A size whose base takes a second to the first token; others as given, give or take 0.02."""
    sizes = {BASE: (1.0, 100), LIGHTEST: (lightest, 110), HEAVIEST: (heaviest, 200)}
    variants = [
        {
            **{"name": name, "chosen": [], "parameters": count, "multiply_adds": count},
            **{"seconds": times(first), "ratios": times(first)},
        }
        for name, (first, count) in sizes.items()
    ]
    router = {"median": 54e-6, "low": 50e-6, "high": 60e-6}
    return {
        **{"date": "2026-01-01", "device": "a processor", "dtype": "float32", "code": None},
        **{"clip_seconds": 10.0, "others": 0.0, "threads": 2, "once": True, "trained": False},
        **{"text_tokens": 40, "reply_tokens": 10, "rounds": 3, "hidden_dim": 128},
        **{"layers": 32, "measured_layers": 4, "variants": variants},
        "routers": {"linear": router, "two layers": router},
    }


@pytest.mark.parametrize(
    ("lightest", "heaviest", "said"),
    [
        (1.01, 1.02, HOLDS),
        (1.02, 1.20, DEPENDS),
        (1.08, 1.20, FAILS),
        (1.04, 1.20, UNDECIDED),
        (1.02, 1.06, UNDECIDED),
    ],
)
def test_the_verdict_is_that_of_quartiles_at_both_ends_of_what_can_be_picked(
    lightest, heaviest, said
):
    assert verdict(size(lightest, heaviest)) == said


def test_the_page_says_what_it_costs_and_what_was_not_measured():
    page = paper_page([], {"mini": size(1.08, 1.20)})
    assert "| cost, mini | **does not hold** |" in page
    assert "Time to the first token +8% to +20% from the lightest to the heaviest picks" in page
    assert "20 s of sound are heard a second without weak encoders, 18.5 to 16.7 with them" in page
    assert "+10.0% to +100.0% parameters" in page
    assert "| routed, heaviest picks |  | 0.0 | 0.0 | 16.7 | 0.455 | 0.6 | 1.2 | 1.20 (1.18" in page
    assert "linear 54 (50 to 60) µs, 0.005%" in page
    assert "Of the language model's 32 layers 4 were measured" in page


def test_without_a_file_nothing_is_said_and_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "cost.json"
    assert cost_section(read_cost(path)) == ""
    for content, said in (
        ({"sizes": {"mini": {}}}, r"cost.json is no file of costs: KeyError\('variants'\)"),
        ({"sizes": []}, "cost.json is no file of costs: AttributeError"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(ExperimentError, match=said):
            read_cost(path)
