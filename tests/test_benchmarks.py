"""The benchmark's arithmetic and its page; the measuring itself is `make bench`."""

import time

import numpy as np
import pytest
import soundfile

from benchmarks.latency import CLIP_SECONDS, make_clip
from benchmarks.report import aims, markdown, ratio, summarise
from benchmarks.worker import timed_stream


def measured(first: float, total: float = 3.0) -> dict[str, float]:
    return {"first_text": first, "total": total, "hearing": 0.5, "tokens": 21, "clip_seconds": 10.0}


def result(**changes):
    rounds = {"mixture": [measured(1.0)] * 3, "base-only": [measured(0.8)] * 3}
    return {
        "date": "2026-01-01",
        "machine": {"processor": "a processor", "python": "3.11", "load": 0.0},
        "cores": 2,
        "checkpoint": "assets/mowe-mini",
        "clip_seconds": 10.0,
        "repeats": 3,
        "variants": {name: summarise(one) for name, one in rounds.items()},
        "ratios": {"base-only": 1.25, "cascade": None},
        "start_up": {"mixture": 5.0, "base-only": 4.0},
        "memory": {"mixture": 1200.0, "base-only": 1000.0},
        "cascade_missing": "not installed.",
        **changes,
    }


def test_summaries_are_medians_and_count_tokens_after_the_first():
    summary = summarise([measured(1.0), measured(2.0), measured(1.0, total=9.0)])
    assert summary["first_text"] == 1.0
    assert summary["tokens_per_second"] == pytest.approx(10.0)  # of 10, 20 and 2.5
    assert summary["hearing_per_second"] == pytest.approx(0.05)


def test_ratios_compare_answers_of_the_same_round():
    rounds = {
        "mixture": [measured(1.1), measured(2.2), measured(3.6)],
        "base-only": [measured(1.0), measured(2.0), measured(3.0)],
    }
    assert ratio(rounds, "mixture", "base-only", "first_text") == pytest.approx(1.1)
    assert ratio(rounds, "mixture", "cascade", "first_text") is None


def test_a_missed_aim_is_marked_and_an_unmeasured_one_is_not_claimed():
    verdicts = {row[0]: row[2:] for row in aims(result())}
    assert verdicts["first word, mixture by base only"] == ("1.25", "**no**")
    assert verdicts["first word, mixture by cascade"] == ("not measured", "")
    assert verdicts["peak memory, MB"] == ("1200", "yes")


def test_the_page_has_a_row_per_variant_that_ran_and_says_what_did_not():
    page = markdown(result())
    assert "| mixture | 1.00 | 10.0 | 0.050 | 3.00 | 5.0 | 1200 |" in page
    assert "The cascade did not run: not installed." in page


def test_the_first_word_is_timed_and_blank_pieces_are_not_words():
    started = time.perf_counter()

    def pieces():
        yield "  "
        time.sleep(0.05)
        yield "one "
        time.sleep(0.05)
        yield "two"

    reply = timed_stream(started, pieces(), hearing=lambda: 0.01, count=lambda text: len(text))
    assert reply.text == "one two"
    assert 0.05 <= reply.first_text < 0.1 <= reply.total
    assert reply.tokens == len("  one two")


@pytest.mark.parametrize("seconds", [3.0, 25.0])
def test_the_clip_lasts_ten_seconds_whatever_the_source(tmp_path, seconds):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.ones((round(seconds * 8000), 2)) * 0.5, 8000)
    make_clip(source, target)
    assert soundfile.info(target).duration == CLIP_SECONDS
