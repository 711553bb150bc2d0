"""Measures what the mixture costs: throughput and latency with it and without, at two sizes.

`python -m benchmarks.cost` writes `results/cost.json`, of which `mowe experiments report` makes a
part of docs/PAPER.md. *mini* has the shipped weights. The paper's presets have random ones: whole
on a GPU; on a CPU the encoders whole and a few layers of the language model, whose time is scaled,
and what all variants share, base encoder and language model, runs once a round and counts for all.
"""

import argparse
import gc
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import mowe
from benchmarks.latency import make_clip
from benchmarks.machine import Neighbours, describe
from benchmarks.variants import (
    REPLY_TOKENS,
    TEXT_TOKENS,
    Variant,
    batch_of,
    clock,
    count,
    listen,
    parameters,
    prefill,
    read,
    running,
    variants,
    whole_language_model,
)
from benchmarks.worker import CORES, keep_to_cores
from mowe.checkpoint import MoWE, fast_dtype, place
from mowe.config import MoWEConfig
from mowe.data.origin import code_version
from mowe.encoders import EncodedAudio
from mowe.errors import ExperimentError
from mowe.experiments.cost import BASE, LEARNED, LIGHTEST
from mowe.files import read_json, write_json
from mowe.model.routing import Router
from mowe.presets import preset
from mowe.shipped import COST_RESULT, EXAMPLES

SIZES = ("mini", "paper-diverse", "paper-uniform")
SECONDS = {"mini": 10.0}  # of a clip; a whole window elsewhere
CLIPS = ("speech-prompt.flac", "dog-rain.ogg", "angry-shout.flac", "digits.flac")
TOGETHER = {"cpu": len(CLIPS), "cuda": 4 * len(CLIPS)}  # clips of a batch, where there are batches
ROUNDS, FEW_ROUNDS = 9, 5  # FEW where a CPU runs the paper's encoders
LAYERS = 4  # of the paper's language model on a CPU, about a gigabyte each
HIDDEN = 128  # units of the router of two layers, as in the arm of that name
ROUTED = 20  # windows that a router gets in a round


def load(name: str, device: str, layers: int) -> MoWE:
    """`mini` with the shipped weights, a preset of the paper's size with random ones.

    Args:
        name: One of `SIZES`.
        device: Where it is to lie.
        layers: At most so many of the paper's language model; its embedding is its output layer
            then, which saves two gigabytes and no time.
    """
    if name == "mini":
        return mowe.load(name, device=device).model
    config = preset(name)
    asked = config.language_model
    if layers < asked.architecture["num_hidden_layers"]:
        fewer = {"num_hidden_layers": layers, "tie_word_embeddings": True}
        asked = replace(asked, architecture={**asked.architecture, **fewer})
    return built(replace(config, language_model=asked), device)


def built(config: MoWEConfig, device: str) -> MoWE:
    """A mixture with random weights, as an assistant has it."""
    with torch.device(device):
        model = MoWE(config, {})
    place(model, device, fast_dtype(device))
    model.language_model.fold()
    return model


def measure(
    model: MoWE, config: MoWEConfig, clips: Sequence[Path], *, rounds: int, once: bool
) -> dict[str, Any]:
    """Every variant in every round, in alternating order; counts come from the round before.

    Args:
        model: With all weak encoders.
        config: What it stands for; its language model may have more layers than the model's.
        clips: The first is answered about; all are heard together for the throughput.
        rounds: Measured ones.
        once: Base encoder and language model run once a round and count for every variant, which
            hears one clip at a time.
    """
    whole = whole_language_model(config)
    layers = whole.model.config.num_hidden_layers
    known, encoders = weigh(model, clips[0])
    compared = variants(
        model, [one["multiply_adds"] for one in encoders[1:]], trained=model.trained
    )
    told = [describe_variant(one, clips[0], known, encoders[0], whole) for one in compared]
    routers = router_pair(model)
    found: list[dict[str, Any]] = []
    with torch.inference_mode():
        for number in tqdm(range(rounds + 1), desc=config.preset):
            order = compared[::-1] if number % 2 else compared  # who goes first must not decide
            found.append(one_round(order, clips, layers, once=once))
            found[-1]["routers"] = time_routers(model, routers, known)
    rounds_kept = found[1:]  # the first one warms up
    return {
        "variants": [one | summarise(rounds_kept, one["name"]) for one in told],
        "encoders": encoders,
        "router": summarise_routers(rounds_kept, LEARNED if model.trained else LIGHTEST),
        "language_model": {
            "parameters": parameters(whole.model),
            "layers": layers,
            "measured_layers": model.language_model.model.config.num_hidden_layers,
        },
        "others": statistics.median(one["others"] or 0.0 for one in rounds_kept),
    }


def weigh(model: MoWE, clip: Path) -> tuple[EncodedAudio, list[dict[str, Any]]]:
    """The base's frames of a clip; parameters and multiply-adds of all encoders, the base first."""
    audio, row = batch_of(model, [clip]), torch.zeros(1, dtype=torch.long, device=model.device)
    frames, base = count(lambda: model.encode_base(audio))
    counted = [base]
    for position in range(len(model.pool)):
        counted.append(count(lambda at=position: model.encode_weak(at, audio, row))[1])
    encoders = (model.base_encoder, *model.pool)
    return frames, [
        {"name": one.name, "parameters": parameters(one), "multiply_adds": macs}
        for one, macs in zip(encoders, counted, strict=True)
    ]


def describe_variant(
    variant: Variant, clip: Path, known: EncodedAudio, base: Mapping[str, Any], whole: Any
) -> dict[str, Any]:
    """Its name, the encoders that run, and what one window passes through up to the first token."""
    heard, macs = count(lambda: listen(variant, [clip], (known, 0.0)))
    listening = base["multiply_adds"] + macs
    return {
        "name": variant.name,
        "chosen": [variant.model.pool[place].name for place in heard.chosen],
        "parameters": running(variant, heard.chosen) + parameters(whole.model),
        "multiply_adds": listening + prefill(whole, heard.tokens.shape[1]),
        "multiply_adds_hearing": listening,
    }


def one_round(
    order: Sequence[Variant], clips: Sequence[Path], layers: int, *, once: bool
) -> dict[str, Any]:
    """Seconds of every variant to audio tokens, to the first token and to the end of the reply."""
    neighbours, model = Neighbours(()), order[0].model
    known, reading = None, None
    if once:
        audio = batch_of(model, clips[:1])
        started = clock(model)
        frames = model.encode_base(audio)
        known = frames, clock(model) - started
    found: dict[str, Any] = {}
    for variant in order:
        heard = listen(variant, clips[:1], known)
        if reading is None or not once:
            reading = read(variant.model, heard.tokens[0], layers)
        batch = heard.seconds if once else listen(variant, clips).seconds / len(clips)
        answered = {name: heard.seconds + seconds for name, seconds in reading.items()}
        found[variant.name] = {"hearing": heard.seconds, "batch": batch, **answered}
    return {"variants": found, "others": neighbours.cores()}


def router_pair(model: MoWE) -> dict[str, Router]:
    """The mixture's router, whose data-dependent part is linear, and one of two layers."""
    assert model.router is not None
    two = Router(model.encoder_names, model.base_encoder.dim, hidden_dim=HIDDEN)
    return {"linear": model.router, "two_layer": two.to(model.device).eval()}


def time_routers(
    model: MoWE, routers: Mapping[str, Router], known: EncodedAudio
) -> dict[str, float]:
    """Median seconds of each router for a window, the mean over its frames included."""
    taken: dict[str, list[float]] = {name: [] for name in routers}
    for _ in range(ROUTED):
        for name, router in routers.items():
            started = clock(model)
            router(known.frames, known.mask)
            taken[name].append(clock(model) - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    )
    return {"median": middle, "low": low, "high": high}


def summarise(rounds: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Spreads of a variant's seconds, and of its seconds by those of the base in the same round."""
    own = [one["variants"][name] for one in rounds]
    base = [one["variants"][BASE] for one in rounds]
    fields = ("hearing", "batch", "first", "answer")
    return {
        "seconds": {field: spread([one[field] for one in own]) for field in fields},
        "ratios": {
            field: spread([one[field] / other[field] for one, other in zip(own, base, strict=True)])
            for field in fields
        },
    }


def summarise_routers(rounds: Sequence[Mapping[str, Any]], beside: str) -> dict[str, Any]:
    """Spreads of each router's seconds, and of its share of the time to the first token."""
    found = {}
    for kind in ("linear", "two_layer"):
        seconds = [one["routers"][kind] for one in rounds]
        firsts = [one["variants"][beside]["first"] for one in rounds]
        shares = [own / first for own, first in zip(seconds, firsts, strict=True)]
        found[kind] = {"seconds": spread(seconds), "share": spread(shares)}
    return {**found, "hidden_dim": HIDDEN, "beside": beside}


def run(name: str, device: str, rounds: int, layers: int) -> dict[str, Any]:
    """One size, with everything that its numbers depend on."""
    small = name == "mini"
    once = device == "cpu" and not small
    rounds = rounds or (FEW_ROUNDS if once else ROUNDS)
    seconds, about = SECONDS.get(name, 30.0), describe()
    model = load(name, device, layers if once else 1000)
    together = 1 if once else TOGETHER[device]
    with tempfile.TemporaryDirectory() as scratch:
        clips = [Path(scratch, f"{number}.wav") for number in range(together)]
        for number, clip in enumerate(clips):
            make_clip(EXAMPLES / CLIPS[number % len(CLIPS)], clip, seconds)
        measured = measure(model, preset(name), clips, rounds=rounds, once=once)
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": about | {"gpu": gpu},
        "code": code_version(),
        "torch": torch.__version__,
        "device": device,
        "dtype": str(model.base_encoder.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "trained": model.trained,
        "clip_seconds": seconds,
        "together": together,
        "text_tokens": TEXT_TOKENS,
        "reply_tokens": REPLY_TOKENS,
        "rounds": rounds,
        "once": once,
        **measured,
    }


def main() -> None:
    """Measure the sizes asked for; those of an older run stay in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--rounds", type=int, default=0, help=f"({ROUNDS}, or {FEW_ROUNDS})")
    parser.add_argument("--layers", type=int, default=LAYERS, help="of an 8 B model on a CPU")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=COST_RESULT)
    options = parser.parse_args()
    keep_to_cores()
    torch.set_num_threads(options.threads)
    found = read_json(options.out, ExperimentError) if options.out.is_file() else {"sizes": {}}
    for name in options.sizes:
        found["sizes"][name] = run(name, options.device, options.rounds, options.layers)
        write_json(options.out, found)
        gc.collect()  # the next mixture needs the memory


if __name__ == "__main__":
    main()
