"""What the mixture costs: the claim, its verdict at each size, and a part of `docs/PAPER.md`.

`python -m benchmarks.cost` measures it; here its file is read and told.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ExperimentError
from mowe.files import read_json

CLAIM = "A mixture of weak encoders costs almost nothing in throughput and latency"
QUIET_CORES = 0.15  # that others may use
ALMOST_NOTHING = 0.05  # of the time to the first token
BASE, LIGHTEST, LEARNED = "base only", "routed, lightest picks", "routed, as trained"
HEAVIEST, DENSE, BESIDE = "routed, heaviest picks", "dense", "all side by side"
HOLDS, FAILS, DEPENDS = "holds", "does not hold", "depends on what is picked"
UNDECIDED = "undecided"
ROUTERS = ("linear", "two layers")  # the data-dependent one

_Found = Mapping[str, Any]
_HEAD = f"""## Cost

*Claim:* {CLAIM}.

It holds at a size if the first token comes at most {ALMOST_NOTHING:.0%} later than without weak
encoders, whatever is picked; a limit fixed before this was measured. Two routers that pick the same
light encoder are the least that routing costs, two that pick the two heaviest ones the most;
*dense* runs the whole pool and weighs it, *all side by side* gives each encoder a place of its own
in the adapter's input. Times are medians over rounds in which the variants take turns in
alternating order, a ratio compares times of one round, and its quartiles stand behind it. Times
begin with the file's name, and no hint of ours is in them (`make bench` measures the shipped
checkpoint with its hints). Multiply-adds are those up to the first token."""
_AGAIN = "Again: `python -m benchmarks.cost`, then `mowe experiments report`."


def read_cost(path: Path) -> dict[str, _Found]:
    """What was measured, by size; nothing where there is no such file.

    Raises:
        ExperimentError: If it cannot be read, or lacks what the page says.
    """
    if not path.is_file():
        return {}
    found = read_json(path, ExperimentError)
    try:
        sizes: dict[str, _Found] = found["sizes"]
        cost_rows(sizes), cost_section(sizes)
    except (KeyError, TypeError, AttributeError) as error:
        raise ExperimentError(f"{path.name} is no file of costs: {error!r}") from error
    return sizes


def cost_rows(sizes: Mapping[str, _Found]) -> list[list[str]]:
    """A line a size for the table of claims."""
    return [[CLAIM, f"cost, {size}", f"**{verdict(one)}**"] for size, one in sizes.items()]


def verdict(one: _Found) -> str:
    """What a size says of the claim, by the quartiles of the lightest and of the heaviest picks."""
    least, most = (_by_name(one)[name]["ratios"]["first"] for name in (LIGHTEST, HEAVIEST))
    limit = 1 + ALMOST_NOTHING
    if max(least["high"], most["high"]) <= limit:
        return HOLDS
    if min(least["low"], most["low"]) > limit:
        return FAILS
    return DEPENDS if least["high"] <= limit < most["low"] else UNDECIDED


def cost_section(sizes: Mapping[str, _Found]) -> str:
    """The part of the page, in Markdown; empty where nothing was measured."""
    if not sizes:
        return ""
    return "\n\n".join([_HEAD, *(_size(name, one) for name, one in sizes.items()), _AGAIN])


def _size(name: str, one: _Found) -> str:
    weights = "shipped weights" if one["trained"] else "random weights, which cost the same"
    parts = [f"### Cost at {name} ({weights})", _sentence(name, one), _table(one), _routers(one)]
    return "\n\n".join([*parts, _how(one)])


def _sentence(name: str, one: _Found) -> str:
    by_name = _by_name(one)
    base, least, most = (by_name[which] for which in (BASE, LIGHTEST, HEAVIEST))
    trained = ""
    if LEARNED in by_name:
        trained = f", {by_name[LEARNED]['ratios']['first']['median'] - 1:+.0%} as trained"

    def more(field: str) -> str:
        return " to ".join(f"{which[field] / base[field] - 1:+.1%}" for which in (least, most))

    def later(field: str) -> str:
        return " to ".join(
            f"{which['ratios'][field]['median'] - 1:+.0%}" for which in (least, most)
        )

    heard = [f"{_throughput(one, which):.3g}" for which in (base, least, most)]
    return (
        f"**{name}: {verdict(one)}.** Time to the first token {later('first')} from the lightest "
        f"to the heaviest picks{trained}, to the end of a reply of {one['reply_tokens']} tokens "
        f"{later('answer')}; {heard[0]} s of sound are heard a second without weak encoders, "
        f"{heard[1]} to {heard[2]} with them. A window passes through {more('parameters')} "
        f"parameters, a wider adapter's among them; {more('multiply_adds')} multiply-adds lead to "
        "the first token."
    )


def _table(one: _Found) -> str:
    lines = [
        [
            "variant", "weak encoders that run", "parameters, M", "multiply-adds, G",
            "sound heard, s a s", "replies a s", "audio tokens, s", "first token, s",
            "first token by base only", "reply by base only",
        ],
        ["---"] * 10,
    ]  # fmt: skip
    for variant in one["variants"]:
        seconds = {name: value["median"] for name, value in variant["seconds"].items()}
        numbers = (_throughput(one, variant), 1 / seconds["answer"], seconds["hearing"])
        lines.append(
            [
                variant["name"],
                ", ".join(variant["chosen"]),
                f"{variant['parameters'] / 1e6:,.1f}",
                f"{variant['multiply_adds'] / 1e9:,.1f}",
                *(f"{number:.3g}" for number in (*numbers, seconds["first"])),
                *(_within(variant["ratios"][name], "{:.2f}") for name in ("first", "answer")),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _routers(one: _Found) -> str:
    first = _by_name(one)[LIGHTEST]["seconds"]["first"]["median"]
    told = []
    for name in ROUTERS:
        seconds = one["routers"][name]
        micro = _within({which: 1e6 * value for which, value in seconds.items()}, "{:.0f}")
        told.append(f"{name} {micro} µs, {seconds['median'] / first:.3%}")
    return (
        "Both routers for a window, the mean over its frames included, and their share of the time "
        f"to the first token with the lightest picks; the data-dependent one {told[0]}; {told[1]} "
        f"({one['hidden_dim']} units)."
    )


def _how(one: _Found) -> str:
    code = one["code"] or {"commit": "unknown", "dirty": False}
    told = [
        f"{one['clip_seconds']:g} s of speech, {one['text_tokens']} tokens of text, "
        f"{one['rounds']} rounds, {one['dtype']} on {one['device']}, threads: {one['threads']}; "
        f"commit `{code['commit'][:10]}`{' with changes' if code['dirty'] else ''}, {one['date']}."
    ]
    if one["once"]:
        told.append("Base encoder and language model ran once a round and count for all variants.")
    if one["measured_layers"] < one["layers"]:
        told.append(
            f"**Of the language model's {one['layers']} layers {one['measured_layers']} were "
            "measured**, and their time is scaled to all; its output layer's is not."
        )
    if one["others"] > QUIET_CORES:
        told.append(
            f"**Other processes kept {one['others']:.1f} cores busy**: trust the ratios more than "
            "the seconds, and measure again on a quiet machine."
        )
    return " ".join(told)


def _throughput(one: _Found, variant: _Found) -> float:
    """Seconds of sound that become audio tokens in a second, one clip after another."""
    return float(one["clip_seconds"] / variant["seconds"]["hearing"]["median"])


def _within(spread: Mapping[str, float], form: str) -> str:
    median, low, high = (form.format(spread[name]) for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _by_name(one: _Found) -> dict[str, _Found]:
    return {variant["name"]: variant for variant in one["variants"]}
