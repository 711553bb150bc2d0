"""What the measurements come to: medians, ratios within a round, and a table to read."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "mixture": "mixture",
    "base-only": "base only",
    "cascade": "cascade",
}


def summarise(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Medians of one variant's answers.

    Args:
        rounds: Each with `first_text`, `total`, `hearing` (seconds), `tokens` and `clip_seconds`.

    Returns:
        `first_text`, `total` (seconds), `tokens_per_second` after the first, and
        `hearing_per_second`: seconds of work per second of audio.
    """
    median = statistics.median
    return {
        "first_text": median(one["first_text"] for one in rounds),
        "total": median(one["total"] for one in rounds),
        "tokens_per_second": median(
            max(one["tokens"] - 1, 0) / max(one["total"] - one["first_text"], 1e-9)
            for one in rounds
        ),
        "hearing_per_second": median(one["hearing"] / one["clip_seconds"] for one in rounds),
    }


def ratio(
    rounds: Mapping[str, Sequence[Mapping[str, Any]]], above: str, below: str, field: str
) -> float | None:
    """Median over rounds of one variant's value by another's; None where one did not run."""
    if not rounds.get(above) or not rounds.get(below):
        return None
    pairs = zip(rounds[above], rounds[below], strict=True)
    return statistics.median(one[field] / other[field] for one, other in pairs)


def aims(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """What was aimed at, what was measured, and whether that is enough.

    No verdict where other processes disturbed a round: a busy machine can turn any of them around.
    """
    start, memory = result["start_up"].get("mixture"), result["memory"].get("mixture")
    quiet, ratios = result["quiet_rounds"] == result["repeats"], result["ratios"]
    rows = [
        ("first word, mixture by base only", "at most 1.15", ratios["base-only"], 1.15, quiet),
        ("first word, mixture by cascade", "at most 0.6", ratios["cascade"], 0.6, quiet),
        ("start-up, warm cache, s", "under 10", start, 10.0, result["quiet_starts"]),
        ("peak memory, MB", "under 2500", memory, 2500.0, True),  # does not depend on load
    ]
    return [(what, aim, _number(value), _verdict(value, *rest)) for what, aim, value, *rest in rows]


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _verdict(value: float | None, limit: float, quiet: bool) -> str:
    if value is None:
        return ""
    if not quiet:
        return "not judged: busy machine"
    return "yes" if value <= limit else "**no**"


def disturbance(result: Mapping[str, Any]) -> str:
    """One sentence on who else used the machine."""
    wanted, quiet, tried = (result[key] for key in ("repeats", "quiet_rounds", "tried_rounds"))
    rule = f"others used at most {result['quiet_cores']:g} cores during every answer"
    if quiet == wanted:
        return f"Quiet rounds ({rule}): {quiet} of {tried} tried; only those count."
    return (
        f"**Only {quiet} of {tried} rounds were quiet** ({rule}), so {wanted - quiet} disturbed "
        "ones are in the medians. Do not rely on these numbers: run again on an idle machine."
    )


def markdown(result: Mapping[str, Any]) -> str:
    """The whole result as a page."""
    machine = result["machine"]
    lines = [
        "# Speed and memory",
        "",
        f"Measured {result['date']} with `make bench` on {machine['processor']}, "
        f"{result['cores']} cores, Python {machine['python']}; load of the machine before the "
        f"run {machine['load']:.2f}. Checkpoint: {result['checkpoint']}. "
        f"Clip: {result['clip_seconds']:g} s of speech. Medians of {result['repeats']} rounds, "
        "variants taking turns within a round, in alternating order.",
        "",
        disturbance(result),
        "",
        "| | first word, s | tokens/s | hearing, s per s of audio | answer, s | start-up, s | "
        "peak memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in NAMES.items():
        if name in result["variants"]:
            lines.append(_row(title, name, result))
    lines += ["", "| aim | | measured | met |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in aims(result)]
    lines += ["", *NOTES]
    if "cascade" not in result["variants"]:
        lines.append("- The cascade did not run: " + result["cascade_missing"])
    return "\n".join(lines) + "\n"


def _row(title: str, name: str, result: Mapping[str, Any]) -> str:
    one = result["variants"][name]
    cells = (
        f"{one['first_text']:.2f}",
        f"{one['tokens_per_second']:.1f}",
        f"{one['hearing_per_second']:.3f}",
        f"{one['total']:.2f}",
        f"{result['start_up'][name]:.1f}",
        f"{result['memory'][name]:.0f}",
    )
    return f"| {title} | {' | '.join(cells)} |"


NOTES = (
    "- First word: from the file's name to the first word of the answer, decoding included.",
    "- Base only: the same checkpoint with the weak encoders switched off for the call; its "
    "start-up and memory are those of the `base-only` preset, which never loads them.",
    "- Cascade: faster-whisper (base, int8, greedy, language given), then llama.cpp "
    "(SmolLM2-135M, Q4_1) on the transcript, both in memory; hearing is the recognition.",
    "- The question is the same for all; answers differ, and so do their lengths.",
)
