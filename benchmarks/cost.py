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
from benchmarks.latency import CLIP, make_clip
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
from mowe.experiments.cost import BASE, ROUTERS
from mowe.files import read_json, write_json
from mowe.model.routing import Router
from mowe.presets import preset
from mowe.shipped import COST_RESULT

CLIP_SECONDS = {"mini": 10.0, "paper-diverse": 30.0, "paper-uniform": 30.0}
ROUNDS, FEW_ROUNDS = 9, 5  # FEW where a CPU runs the paper's encoders
LAYERS = 2  # of the paper's language model on a CPU, 0.9 GB each beside 8 GB of all else
HIDDEN = 128  # units of the router of two layers, as in the arm of that name
ROUTED = 20  # windows that a router gets in a round


def load(name: str, device: str, layers: int | None) -> MoWE:
    """`mini` with the shipped weights, a preset of the paper's size with random ones."""
    if name == "mini":
        return mowe.load(name, device=device).model
    config = preset(name)
    asked = config.language_model
    if layers is not None:  # one table for both ends saves 2 GB and no time
        fewer = {"num_hidden_layers": layers, "tie_word_embeddings": True}
        asked = replace(asked, architecture={**asked.architecture, **fewer})
    return built(replace(config, language_model=asked), device)


def built(config: MoWEConfig, device: str) -> MoWE:
    """A mixture with random weights, ready to answer."""
    with torch.device(device):
        model = MoWE(config, {})
    place(model, device, fast_dtype(device))
    model.language_model.fold()
    return model


def measure(
    model: MoWE, config: MoWEConfig, clip: Path, *, rounds: int, once: bool
) -> dict[str, Any]:
    """Count what every variant takes, then measure all of them in every round.

    Args:
        model: With all weak encoders.
        config: What it stands for; its language model may have more layers than the model's.
        clip: What is heard.
        rounds: Measured ones, after one that warms up.
        once: Base encoder and language model run once a round and count for every variant.
    """
    whole = whole_language_model(config)
    layers, audio = whole.model.config.num_hidden_layers, batch_of(model, clip)
    frames, base = count(lambda: model.encode_base(audio))
    row = torch.zeros(1, dtype=torch.long, device=model.device)
    weights = [
        count(lambda at=at: model.encode_weak(at, audio, row))[1] for at in range(len(model.pool))
    ]
    compared, told = variants(model, weights, trained=model.trained), []
    for one in compared:
        heard, more = count(lambda one=one: listen(one, clip, (frames, 0.0)))
        told.append(
            {
                "name": one.name,
                "chosen": [model.pool[place].name for place in heard.chosen],
                "parameters": running(one, heard.chosen) + parameters(whole.model),
                "multiply_adds": base + more + prefill(whole, heard.tokens.shape[1]),
            }
        )
    two = Router(model.encoder_names, model.base_encoder.dim, hidden_dim=HIDDEN)
    routers = dict(zip(ROUTERS, (model.router, two.to(model.device).eval()), strict=True))
    found = []
    with torch.inference_mode():
        for number in tqdm(range(rounds + 1), desc=config.preset):
            order = compared[::-1] if number % 2 else compared  # who goes first must not decide
            found.append(one_round(order, clip, layers, once=once))
            found[-1] |= time_routers(model, routers, frames)
    found = found[1:]  # the first one warms up
    return {
        "variants": [one | summarise(found, one["name"]) for one in told],
        "routers": {name: spread([one[name] for one in found]) for name in ROUTERS},
        "layers": layers,
        "measured_layers": model.language_model.model.config.num_hidden_layers,
        "others": statistics.median(one["others"] or 0.0 for one in found),
    }


def one_round(order: Sequence[Variant], clip: Path, layers: int, *, once: bool) -> dict[str, Any]:
    """Seconds of every variant to audio tokens, to the first token and to the end of the reply."""
    neighbours, model, known, reading = Neighbours(()), order[0].model, None, None
    if once:
        audio = batch_of(model, clip)
        started = clock(model)
        frames = model.encode_base(audio)
        known = frames, clock(model) - started
    found: dict[str, Any] = {}
    for variant in order:
        heard = listen(variant, clip, known)
        if reading is None or not once:
            reading = read(variant.model, heard.tokens[0], layers)
        answered = {name: heard.seconds + seconds for name, seconds in reading.items()}
        found[variant.name] = {"hearing": heard.seconds, **answered}
    return found | {"others": neighbours.cores()}


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
    """Median and quartiles of two values or more."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def summarise(rounds: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Spreads of a variant's seconds, and of their ratios to those of the base in one round."""
    pairs = [(one[name], one[BASE]) for one in rounds]
    fields = ("hearing", "first", "answer")
    return {
        "seconds": {field: spread([own[field] for own, _ in pairs]) for field in fields},
        "ratios": {
            field: spread([own[field] / base[field] for own, base in pairs]) for field in fields
        },
    }


def run(name: str, device: str, rounds: int, layers: int) -> dict[str, Any]:
    """One size, with everything that its numbers depend on."""
    once, about = device == "cpu" and name != "mini", describe()
    rounds = rounds or (FEW_ROUNDS if once else ROUNDS)
    model = load(name, device, layers if once else None)
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch, "clip.wav")
        make_clip(CLIP, clip, CLIP_SECONDS[name])
        measured = measure(model, preset(name), clip, rounds=rounds, once=once)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": about,
        "device": torch.cuda.get_device_name() if device == "cuda" else about["processor"],
        "dtype": str(model.base_encoder.dtype).removeprefix("torch."),
        "code": code_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "trained": model.trained,
        "clip_seconds": CLIP_SECONDS[name],
        "text_tokens": TEXT_TOKENS,
        "reply_tokens": REPLY_TOKENS,
        "hidden_dim": HIDDEN,
        "rounds": rounds,
        "once": once,
        **measured,
    }


def main() -> None:
    """Measure the sizes asked for; those of an older run stay in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=CLIP_SECONDS, default=list(CLIP_SECONDS))
    parser.add_argument("--rounds", type=int, default=0, help="two or more (5 or 9)")
    parser.add_argument("--layers", type=int, default=LAYERS, help="of an 8 B model, on a CPU (2)")
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
