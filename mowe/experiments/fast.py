"""One arm, one seed, at the fast scale: train the probe, then ask it about what is held out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mowe.errors import ExperimentError
from mowe.experiments.arms import Arm, Stretch
from mowe.experiments.bank import Bank
from mowe.experiments.labelled import Labelled, labels_of_tasks, left_out
from mowe.experiments.probe import LabelWords, Probe
from mowe.experiments.ways import WAYS
from mowe.model.control import Override, RoutingControl
from mowe.model.language_model import LanguageModel

BATCH = 32
LEARNING_RATE = 1e-3
INDEPENDENT_RATE = 1e-2  # of the learned vector, one number an encoder: else it hardly moves
WARM_UP = 20  # steps
RIVALS = "uniform"  # the way whose arms are asked under every pair of encoders, for regret
LEFT_OUT = "left out"  # instead of a split: what an arm did not train on, see `left_out`
_TOGETHER = 256  # clips that are asked about at once


@dataclass(frozen=True)
class Data:
    """What every arm and seed shares."""

    clips: Sequence[Labelled]
    bank: Bank
    words: LabelWords
    tasks: Sequence[str]
    labels: Sequence[str]  # of all tasks
    targets: Tensor  # (clips,) places among all labels
    task_of: Tensor  # (clips,)
    said: Sequence[str] = ()  # transcripts of the clips, where an arm is told them

    def rows(self, split: str) -> Tensor:
        """Places of a split's clips."""
        return torch.tensor([n for n, one in enumerate(self.clips) if one.split == split])


def shared_data(clips: Sequence[Labelled], bank: Bank, language_model: LanguageModel) -> Data:
    """Labels and questions as a language model's embeddings, beside the features."""
    labels = labels_of_tasks(clips)
    tasks = list(labels)
    pairs = [(task, label) for task in tasks for label in labels[task]]
    places = {pair: place for place, pair in enumerate(pairs)}
    embedded = language_model.words([label for _, label in pairs])
    asked = {text: _embedding(text, language_model) for text in {one.question for one in clips}}
    words = LabelWords(
        nn.functional.normalize(embedded, dim=1),
        torch.tensor([tasks.index(task) for task, _ in pairs]),
        torch.stack([asked[one.question] for one in clips]),
    )
    return Data(
        clips,
        bank,
        words,
        tasks,
        [label for _, label in pairs],
        torch.tensor([places[one.task, one.label] for one in clips]),
        torch.tensor([tasks.index(one.task) for one in clips]),
    )


@torch.inference_mode()
def _embedding(text: str, language_model: LanguageModel) -> Tensor:
    """Of a text that begins; `LanguageModel.words` is about texts behind others."""
    return language_model.embedding(torch.tensor(language_model.encode(text))).mean(dim=0).float()


def run(arm: Arm, seed: int, data: Data) -> dict[str, Any]:
    """Train one arm and ask it about every held-out clip.

    Args:
        arm: The arm.
        seed: Of weights, batches and exploration; arms of one seed see the same clips in the same
            order, as far as they train on the same ones.
        data: What is shared.

    Returns:
        `right`: by routing and split, one bit a clip, `LEFT_OUT` being a split of arms that leave
        something out; `chosen`: by split, the encoders picked by each router; `gradients`, where
        there are routers; `losses`; `cpu_seconds`.

    Raises:
        ExperimentError: If nothing is left to train on, or the loss is no number.
    """
    started = time.process_time()
    probe, losses = train(arm, seed, data)
    found = _asked(probe, data)
    if probe.router is not None:
        found["gradients"] = gradient_cosines(probe, data)
    return {**found, "losses": losses, "cpu_seconds": round(time.process_time() - started, 2)}


def train(arm: Arm, seed: int, data: Data) -> tuple[Probe, list[float]]:
    """The trained probe, and its loss every 50 steps; errors as `run`."""
    torch.manual_seed(seed)
    probe = Probe(arm, data.bank, data.words)
    torch.manual_seed(seed + 1000)  # whatever the arm's size drew
    way = WAYS[arm.way]
    total = sum(one.steps for one in arm.stretches)
    drawn = draws(arm, seed, data)
    probe.train()

    def loss(step: int) -> Tensor:
        rows = drawn[step]
        return way(probe, probe.batch(rows, data.task_of[rows], data.targets[rows]), step / total)

    parameters = list(probe.parameters())
    losses = descend(
        loss, total, _rates(probe), parameters, warm_up=WARM_UP, told=50, name=f"{arm.name}, {seed}"
    )
    return probe.eval(), losses


def descend(
    loss_of: Callable[[int], Tensor],
    total: int,
    rates: list[dict[str, Any]],
    parameters: Sequence[nn.Parameter],
    *,
    warm_up: int,
    told: int,
    name: str,
) -> list[float]:
    """Take `total` steps of AdamW, their rates rising, then falling to nothing.

    Args:
        loss_of: The loss of a step, by its number.
        total: Steps.
        rates: Parameters with their learning rate, as torch's optimizers take them.
        parameters: All of them; their gradient is cut to a length of 1.
        warm_up: Steps in which the rates rise.
        told: Every how many steps the loss is kept.
        name: Of the run, for the error.

    Raises:
        ExperimentError: If a loss is no number.
    """
    optimizer = torch.optim.AdamW(rates, weight_decay=0.01, fused=True)
    full = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for step in range(total):
        for group, rate in zip(optimizer.param_groups, full, strict=True):
            left = (total - step) / (total - warm_up) if total > warm_up else 1.0
            group["lr"] = rate * min((step + 1) / warm_up, left)
        loss = loss_of(step)
        if not bool(loss.isfinite()):
            raise ExperimentError(f"{name}: the loss is no number at step {step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if (step + 1) % told == 0:
            losses.append(round(loss.item(), 4))
    return losses


def _rates(probe: Probe) -> list[dict[str, Any]]:
    """Parameters by learning rate."""
    alone = [one for name, one in probe.named_parameters() if name == "router.independent_logits"]
    others = [one for name, one in probe.named_parameters() if name != "router.independent_logits"]
    return [
        {"params": others, "lr": LEARNING_RATE},
        {"params": alone, "lr": INDEPENDENT_RATE},
    ]


def draws(arm: Arm, seed: int, data: Data, batch: int = BATCH, steps: int = 0) -> list[Tensor]:
    """The clips of every step: tasks evenly, clips of a task evenly.

    Args:
        arm: The arm.
        seed: Of the draw.
        data: What is shared.
        batch: Clips of a step.
        steps: Instead of those of the arm, evenly over its stretches.

    Raises:
        ExperimentError: If nothing is left to train on.
    """
    draw = np.random.default_rng(seed)
    kept = {task: _kept(arm, task, data) for task in data.tasks}
    drawn = []
    for stretch in arm.stretches:
        groups = [kept[task] for task in stretch_tasks(arm, stretch, data) if len(kept[task])]
        if not groups:
            raise ExperimentError(f"{arm.name} has nothing to train on")
        for _ in range(steps // len(arm.stretches) if steps else stretch.steps):
            which, place = draw.integers(len(groups), size=batch), draw.random(batch)
            picked = [groups[g][int(p * len(groups[g]))] for g, p in zip(which, place, strict=True)]
            drawn.append(torch.tensor(picked))
    return drawn


def stretch_tasks(arm: Arm, stretch: Stretch, data: Data) -> Sequence[str]:
    """The tasks of a stretch.

    Raises:
        ExperimentError: If the data has no such task.
    """
    unknown = sorted(set(stretch.tasks) - set(data.tasks))
    if unknown:
        raise ExperimentError(
            f"{arm.name} trains on {', '.join(unknown)}; the data has {', '.join(data.tasks)}"
        )
    return stretch.tasks or data.tasks


def _kept(arm: Arm, task: str, data: Data) -> list[int]:
    """Places of a task's training clips; a share of them is the same for every seed."""
    found = [
        place
        for place, one in enumerate(data.clips)
        if one.split == "train"
        and one.task == task
        and not (arm.without and one.origin.startswith(arm.without))
    ]
    return found[: round(arm.data * len(found))]


def gradient_cosines(probe: Probe, data: Data) -> dict[str, list[list[float]]]:
    """How far tasks pull the same way: cosines of their gradients, `(tasks, tasks)` by part.

    Of the loss of up to 64 held-out clips each, under the learned routing: on what was trained on
    there is none left. A task that a part gets no gradient from has zeros.
    """
    parts = {"router": probe.router, "projections": probe.fusion, "adapter": probe.adapter}
    gradients: dict[str, list[Tensor]] = {name: [] for name in parts}
    for task in data.tasks:
        rows = [n for n, one in enumerate(data.clips) if (one.task, one.split) == (task, "dev")]
        some = torch.tensor(rows[:64])
        batch = probe.batch(some, data.task_of[some], data.targets[some])
        probe.zero_grad(set_to_none=True)
        probe.losses(batch, probe.weights(batch, probe.route(batch))).mean().backward()
        for name, part in parts.items():
            assert part is not None
            flat = [
                (torch.zeros_like(one) if one.grad is None else one.grad).flatten()
                for one in part.parameters()
            ]
            gradients[name].append(torch.cat(flat))
    probe.zero_grad(set_to_none=True)
    return {name: _between(torch.stack(found)) for name, found in gradients.items()}


def _between(gradients: Tensor) -> list[list[float]]:
    unit = nn.functional.normalize(gradients, dim=1)
    return [[round(float(one), 4) for one in row] for row in unit @ unit.T]


@torch.inference_mode()
def _asked(probe: Probe, data: Data) -> dict[str, Any]:
    right: dict[str, dict[str, str]] = {}
    picked: dict[str, dict[str, str]] = {}
    held = {split: data.rows(split) for split in ("dev", "test")}
    if unheard := left_out(data.clips, probe.arm.without) if probe.arm.without else []:
        held[LEFT_OUT] = torch.tensor(unheard)
    for split, rows in held.items():
        batches = [
            probe.batch(some, data.task_of[some], data.targets[some])
            for some in rows.split(_TOGETHER)
            if len(some)
        ]
        for name, control in _controls(probe).items():
            bits = [_right(probe, batch, control) for batch in batches]
            right.setdefault(name, {})[split] = bits_to_text(np.concatenate(bits))
        picked[split] = chosen(probe, batches)
    return {"right": right, "chosen": picked}


def _controls(probe: Probe) -> Mapping[str, RoutingControl | None]:
    """Every routing that an arm is asked under; pairs force the independent, then the dependent."""
    if probe.router is None:
        return {"learned": None}
    found: dict[str, RoutingControl | None] = {
        "learned": None,
        "no weak": RoutingControl(no_weak=True),
    }
    names = probe.arm.pool
    if probe.arm.way == RIVALS and probe.arm.routers == "both":
        found |= {
            f"{first} | {second}": RoutingControl(
                independent=Override(force=(first,)), dependent=Override(force=(second,))
            )
            for first in names
            for second in names
        }
    return found


def _right(probe: Probe, batch: Any, control: RoutingControl | None) -> np.ndarray:
    routing = probe.route(batch, control) if probe.router is not None else None
    scores = probe.scores(batch, probe.weights(batch, routing))
    found: np.ndarray = (scores.argmax(dim=1) == batch.targets).numpy()
    return found


def chosen(probe: Probe, batches: Sequence[Any]) -> dict[str, str]:
    """The likeliest encoder of each router for every clip, one digit or letter each."""
    if probe.router is None or not batches:
        return {}
    routed = [probe.route(batch) for batch in batches]
    found = {}
    for router in ("independent", "dependent"):
        picks = [getattr(one, router) for one in routed]
        if picks[0] is not None:
            places = torch.cat([one.argmax(dim=1) for one in picks]).tolist()
            found[router] = "".join(f"{place:x}" for place in places)
    return found


def bits_to_text(bits: np.ndarray) -> str:
    """Booleans as hexadecimal digits, first clip first."""
    return np.packbits(bits).tobytes().hex()


def text_to_bits(text: str, count: int) -> np.ndarray:
    """Back from `bits_to_text`.

    Raises:
        ExperimentError: If it holds another number of clips.
    """
    found = np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))
    if not count <= len(found) < count + 8:
        raise ExperimentError(f"results hold about {len(found)} clips, the data has {count}")
    return found[:count].astype(bool)
