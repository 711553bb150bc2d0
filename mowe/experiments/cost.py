"""What the mixture costs: the claim, its verdict at each size, and a part of `docs/PAPER.md`.

`python -m benchmarks.cost` measures it; here its file is read and told.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ExperimentError
from mowe.experiments.result_files import misfit
from mowe.files import read_json

CLAIM = "A mixture of weak encoders costs almost nothing in throughput and latency"
ALMOST_NOTHING = 0.05  # of the time to the first token; fixed before anything was measured
BASE, LIGHTEST, LEARNED = "base only", "routed, lightest picks", "routed, as trained"
HEAVIEST, DENSE, BESIDE = "routed, heaviest picks", "dense", "all side by side"
HOLDS, FAILS, DEPENDS = "holds", "does not hold", "depends on what is picked"
UNDECIDED = "undecided"

_Found = Mapping[str, Any]
_SPREAD = dict.fromkeys(("median", "low", "high"), float)
_TIMES = dict.fromkeys(("hearing", "batch", "first", "answer"), _SPREAD)
_ROUTER = {"seconds": _SPREAD, "share": _SPREAD}
_SIZE: dict[Any, Any] = {
    **dict.fromkeys(("date", "device", "dtype"), str),
    **dict.fromkeys(("clip_seconds", "others"), float),
    **dict.fromkeys(("threads", "together", "text_tokens", "reply_tokens", "rounds"), int),
    **dict.fromkeys(("trained", "once"), bool),
    "machine": {"processor": str, "gpu": str},
    "language_model": dict.fromkeys(("parameters", "layers", "measured_layers"), int),
    "router": {"linear": _ROUTER, "two_layer": _ROUTER, "hidden_dim": int, "beside": str},
    "variants": [
        {
            **dict.fromkeys(("parameters", "multiply_adds", "multiply_adds_hearing"), int),
            **{"name": str, "chosen": [str], "seconds": _TIMES, "ratios": _TIMES},
        }
    ],
}
_HEAD = f"""## Cost

*Claim:* {CLAIM}.

It holds at a size if the first token comes at most {ALMOST_NOTHING:.0%} later than without weak
encoders, whatever is picked; a limit fixed beforehand. Two routers that pick the same light encoder
are the least that routing costs, two that pick the two heaviest ones the most; *dense* runs the
whole pool and weighs it, *all side by side* gives each encoder a place of its own in the adapter's
input. Times are medians over rounds in which the variants take turns in alternating order; a ratio
compares times of one round, with its quartiles. They begin with the file's name, and no hint of
ours is in them. Multiply-adds are counted, and of the time to the first token."""
_AGAIN = "Again: `python -m benchmarks.cost`, then `mowe experiments report`."


def read_cost(path: Path) -> dict[str, _Found]:
    """What was measured, by size; nothing where there is no such file.

    Raises:
        ExperimentError: If it cannot be read, or something in it is missing or of another kind.
    """
    if not path.is_file():
        return {}
    found = read_json(path, ExperimentError)
    if fault := misfit(found, {"sizes": {str: _SIZE}}, ""):
        raise ExperimentError(f"{path.name} is no file of costs: {fault}")
    for size, one in found["sizes"].items():
        missing = {BASE, LIGHTEST, HEAVIEST} - _by_name(one).keys()
        if missing:
            raise ExperimentError(f"{path.name} is no file of costs: {size} lacks {min(missing)}")
    sizes: dict[str, _Found] = found["sizes"]
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
    parts = [f"### Cost at {name} ({weights})", _sentence(name, one), _table(one), _router(one)]
    return "\n\n".join([*parts, _how(one)])


def _sentence(name: str, one: _Found) -> str:
    by_name = _by_name(one)
    base, least, most = (by_name[which] for which in (BASE, LIGHTEST, HEAVIEST))
    trained = ""
    if LEARNED in by_name:
        trained = f", {by_name[LEARNED]['ratios']['first']['median'] - 1:+.0%} as trained"

    def more(field: str) -> str:
        return f"{least[field] / base[field] - 1:+.1%} to {most[field] / base[field] - 1:+.1%}"

    def later(field: str) -> str:
        ratios = [which["ratios"][field]["median"] - 1 for which in (least, most)]
        return f"{ratios[0]:+.0%} to {ratios[1]:+.0%}"

    heard = [f"{_throughput(one, which):.3g}" for which in (base, least, most)]
    return (
        f"**{name}: {verdict(one)}.** Time to the first token {later('first')} from the lightest "
        f"to the heaviest picks{trained}, to the end of a reply of {one['reply_tokens']} tokens "
        f"{later('answer')}; "
        f"{heard[0]} s of sound are heard a second without weak encoders, {heard[1]} to {heard[2]} "
        f"with them. A window passes through {more('parameters')} parameters, and "
        f"{more('multiply_adds')} multiply-adds lead to the first token."
    )


def _table(one: _Found) -> str:
    lines = [
        [
            "variant", "weak encoders that run", "parameters, M", "multiply-adds, G",
            "sound heard, s a s", "clips answered a s", "audio tokens, s", "first token, s",
            "reply, s", "first token by base only", "reply by base only",
        ],
        ["---"] * 11,
    ]  # fmt: skip
    for variant in one["variants"]:
        seconds = {name: value["median"] for name, value in variant["seconds"].items()}
        lines.append(
            [
                variant["name"],
                ", ".join(variant["chosen"]),
                f"{variant['parameters'] / 1e6:,.1f}",
                f"{variant['multiply_adds'] / 1e9:,.1f}",
                f"{_throughput(one, variant):.3g}",
                f"{1 / seconds['answer']:.3g}",
                *(f"{seconds[name]:.3g}" for name in ("hearing", "first", "answer")),
                *(_within(variant["ratios"][name], "{:.2f}") for name in ("first", "answer")),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _router(one: _Found) -> str:
    told = []
    for kind, name in (("linear", "linear"), ("two_layer", f"{one['router']['hidden_dim']} units")):
        router = one["router"][kind]
        micro = {quartile: 1e6 * value for quartile, value in router["seconds"].items()}
        share = _within(router["share"], "{:.3%}")
        told.append(f"{name} {_within(micro, '{:.0f}')} µs, {share} of the time")
    return (
        "Both routers for a window, with the mean over its frames; the data-dependent one is "
        f"{told[0]} to the first token ({one['router']['beside']}), or, two layers with {told[1]}."
    )


def _how(one: _Found) -> str:
    language_model, machine = one["language_model"], one["machine"]
    code = one.get("code") or {"commit": "unknown", "dirty": False}
    told = [
        f"{one['clip_seconds']:g} s of speech, {one['text_tokens']} tokens of text, "
        f"{one['rounds']} rounds, {one['dtype']} on {machine['gpu'] or machine['processor']}, "
        f"{one['threads']} threads; sound heard a second: {one['together']} clips together; "
        f"commit `{code['commit'][:10]}`{' with changes' if code['dirty'] else ''}, {one['date']}."
    ]
    if one["once"]:
        told.append("Base encoder and language model ran once a round and count for every variant.")
    layers, measured = language_model["layers"], language_model["measured_layers"]
    if measured < layers:
        told.append(
            f"**Of the language model's {layers} layers {measured} were measured**, and their time "
            "is scaled to all; its output layer is measured as it is."
        )
    if one["others"] > 0.15:
        told.append(
            f"**Other processes kept {one['others']:.1f} cores busy**: trust the ratios more than "
            "the seconds, and measure again on a quiet machine."
        )
    return " ".join(told)


def _throughput(one: _Found, variant: _Found) -> float:
    """Seconds of sound that become audio tokens in a second."""
    return float(one["clip_seconds"] / variant["seconds"]["batch"]["median"])


def _within(spread: Mapping[str, float], form: str) -> str:
    median, low, high = (form.format(spread[name]) for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _by_name(one: _Found) -> dict[str, _Found]:
    return {variant["name"]: variant for variant in one["variants"]}
