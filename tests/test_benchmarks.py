"""The benchmark's arithmetic and its page; the measuring itself is `make bench`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import latency
from benchmarks.latency import CLIP_SECONDS, make_clip
from benchmarks.machine import Neighbours, is_quiet
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
        "quiet_rounds": 3,
        "tried_rounds": 5,
        "quiet_starts": True,
        "quiet_cores": 0.15,
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


def test_a_disturbed_run_gets_no_verdict_and_says_why():
    busy = result(quiet_rounds=1, tried_rounds=12, quiet_starts=False)
    unknown = "not judged: busy machine"
    # memory does not depend on load; the cascade was not measured at all
    assert [row[3] for row in aims(busy)] == [unknown, "", unknown, "yes"]
    assert "**Only 1 of 12 rounds were quiet**" in markdown(busy)


def test_quiet_rounds_are_counted_on_the_page():
    assert "3 of 5 tried; only those count." in markdown(result())


@pytest.mark.skipif(sys.platform != "linux", reason="CPU use of others is read from /proc")
def test_work_of_another_process_is_seen_and_our_own_is_not():
    spin = "import time\nwhile time.process_time() < 0.6: pass"
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", spin]) as other:
        theirs, ours = Neighbours(()), Neighbours((other.pid,))
        os.waitid(
            os.P_PID, other.pid, os.WEXITED | os.WNOWAIT
        )  # its times are kept till it is read
        seen, left_out = theirs.cores(), ours.cores()
    assert (seen - left_out) * (time.perf_counter() - started) > 0.4  # of its 0.6 s


def test_what_cannot_be_known_is_not_called_quiet():
    assert [is_quiet(one) for one in (0.0, 0.15, 0.16, None)] == [True, True, False, False]


class FakeWorker:
    """Answers at once; `pid` is this process, which always counts as ours."""

    pid = os.getpid()

    def __init__(self, asked):
        self.asked = asked

    def ask(self, clip, *, no_weak=False):
        self.asked.append("base-only" if no_weak else "other")
        return measured(1.0)

    def close(self):
        return 1.0


def test_only_quiet_rounds_count_whatever_they_measured(monkeypatch):
    loads = iter([0.0] * 2 + [0.9, 0.0] + [0.0] * 4)  # warm-up, a disturbed round, two quiet ones
    monkeypatch.setattr(latency, "Worker", lambda command: FakeWorker([]))
    monkeypatch.setattr(latency.Neighbours, "cores", lambda self: next(loads))
    rounds, quiet, tried = latency.measure_answers({"mixture": []}, Path("clip.wav"), 2)
    assert (quiet, tried) == (2, 3)
    assert all(one["others"] == 0.0 for one in rounds["mixture"] + rounds["base-only"])


def test_the_order_within_a_round_alternates():
    asked = []
    worker = FakeWorker(asked)
    for backwards in (False, True):
        workers = {"mixture": worker, "base-only": worker}
        latency.one_round(workers, Path("clip.wav"), backwards=backwards)
    assert asked == ["base-only", "other", "other", "base-only"]


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
