"""An encoder of one's own beside the pool: is it worth anything, and for what?

Its projection and its router row are trained on cached features with all the others', in minutes,
beside a twin with random weights: what the twin is worth is worth of the architecture.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mowe.config import EncoderConfig, MoWEConfig, to_dict
from mowe.errors import ConfigError
from mowe.experiments.arms import PAPER
from mowe.experiments.bank import TWIN
from mowe.experiments.claims import TASKS
from mowe.experiments.experiment import Experiment, Pair
from mowe.experiments.results import summarize
from mowe.experiments.runs import Place, Runs
from mowe.files import is_file_name, write_json

SEEDS = 3


def encoder_of(source: str, family: str, name: str = "") -> EncoderConfig:
    """The encoder that is to be added.

    Args:
        source: `hub:OWNER/NAME` or `folder:PATH`.
        family: One of `mowe.encoders.FAMILIES`.
        name: In tables; by default the last part of the source.

    Raises:
        ConfigError: If the name cannot be used, or stands for an encoder of the pool.
    """
    name = name or source.rstrip("/").replace(":", "/").split("/")[-1].split("@")[0]
    taken = (*PAPER.pool, "base")
    if name in taken or not is_file_name(name):
        raise ConfigError(
            f"an added encoder needs a name of its own (--name), found {name!r}; taken are "
            f"{', '.join(taken)}"
        )
    return EncoderConfig(name=name, family=family, source=source)


def experiment_of(encoder: EncoderConfig, seeds: int = SEEDS) -> Experiment:
    """The pool without it, with it, and with its twin; with it, task by task."""
    added = replace(PAPER, name=f"with {encoder.name}", pool=(*PAPER.pool, encoder.name))
    twin = replace(
        PAPER, name=f"with a random {encoder.name}", pool=(*PAPER.pool, encoder.name + TWIN)
    )
    return Experiment(
        name=f"pool-{encoder.name}",
        claim=f"{encoder.name} adds to the pool what its random twin does not",
        against=PAPER.name,
        arms=(PAPER, added, twin),
        pairs=(Pair(added.name, twin.name), *(Pair(added.name, twin.name, one) for one in TASKS)),
        seeds=seeds,
    )


def add_encoder(
    encoder: EncoderConfig,
    mixture: MoWEConfig,
    place: Place,
    folder: Path,
    *,
    seeds: int = SEEDS,
    jobs: int = 1,
) -> dict[str, Any]:
    """Measure an encoder and write the mixture that has it.

    Args:
        encoder: From `encoder_of`.
        mixture: Whose pool it joins.
        place: Where the data is.
        folder: Where `worth.json` and the mixture, `mixture.json`, go.
        seeds: Of each arm.
        jobs: Processes side by side.

    Returns:
        What a result file of experiments holds.

    Raises:
        ConfigError: If the mixture has an encoder of this name.
        MoweError: If the encoder's weights or the data cannot be used.
    """
    joined = replace(
        mixture,
        preset=f"{mixture.preset}-{encoder.name}",
        weak_encoders=(*mixture.weak_encoders, encoder),
    )
    runs = Runs(replace(place, added=(encoder,)))
    experiment = experiment_of(encoder, seeds)
    runs.make(experiment.arms, seeds, jobs)
    found = summarize(experiment, runs, runs.place.clips())
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "worth.json", found)
    write_json(folder / "mixture.json", to_dict(joined))
    return found
