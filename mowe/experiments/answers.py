"""One arm, one seed, through a language model: the paper's loss, and answers instead of scores.

The probe of the same arm and seed warms up routers, fusion and adapter; then they learn with the
language model's LoRA by the next-token loss plus L_MoWE. No hints, unless an arm asks for them. An
answer is decoded greedily among the labels of its task.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mowe.experiments import fast
from mowe.experiments.arms import Arm
from mowe.experiments.fast import Data, bits_to_text
from mowe.experiments.probe import Probe, ProbeBatch
from mowe.experiments.ways import weighted
from mowe.model.control import RoutingControl
from mowe.model.language_model import AUDIO_ID, IGNORED, LanguageModel, Prompt, escaped
from mowe.model.routing import Routing

STEPS, STEPS_FROM_NOTHING = 150, 400
BATCH = 16
LORA_RATE, WARM_RATE, COLD_RATE = 1e-3, 3e-4, 1e-3
WARM_UP = 10  # steps
_TOGETHER = 32  # clips that are asked about at once


class Answerer:
    """A probe's audio tokens, read by a language model."""

    def __init__(
        self, probe: Probe, data: Data, language_model: LanguageModel, questions: Mapping[str, str]
    ) -> None:
        """Join them.

        Args:
            probe: Routers, fusion and adapter.
            data: What is shared.
            language_model: With LoRA.
            questions: By task.
        """
        self.probe, self.data, self.language_model = probe, data, language_model
        self.questions = questions
        self._first = [language_model.encode(f" {label}")[0] for label in data.labels]

    def batch(self, rows: Tensor) -> ProbeBatch:
        """Some clips."""
        return self.probe.batch(rows, self.data.task_of[rows], self.data.targets[rows])

    def listen(
        self, batch: ProbeBatch, control: RoutingControl | None = None
    ) -> tuple[list[Tensor], Routing | None]:
        """Audio tokens of each clip, `(audio_tokens, llm_dim)`, and the routing."""
        probe = self.probe
        routing = probe.route(batch, control) if probe.router is not None else None
        audio = probe.listen(batch, probe.weights(batch, routing))
        if probe.arm.transcripts == "alone":
            return [audio.tokens[0, :0]] * len(batch.rows), routing
        pairs = zip(audio.tokens, audio.mask, strict=True)
        return [tokens[mask] for tokens, mask in pairs], routing

    def prompts(self, rows: Tensor, audio: Sequence[Tensor], labels: Sequence[str]) -> list[Prompt]:
        """Audio tokens, question and answer of each clip; an empty answer is still to be written.

        No chat around them: its marks are half of so short a prompt, and half of a step's time.
        """
        model, made = self.language_model, []
        for row, tokens, label in zip(rows.tolist(), audio, labels, strict=True):
            asked = self.questions[self.data.clips[row].task]
            if self.probe.arm.transcripts != "none":
                asked = f"{escaped(self.data.said[row], model.control_tokens)}\n{asked}"
            answer = [*model.encode(f" {label}"), model.tokenizer.eos_token_id] if label else []
            ids = [*[AUDIO_ID] * len(tokens), *model.encode(asked)]
            labelled = [IGNORED] * len(ids) + answer
            made.append(Prompt(torch.tensor([*ids, *answer]), torch.tensor(labelled)))
        return made

    def loss(self, rows: Tensor) -> Tensor:
        """Next-token loss plus the arm's L_MoWE."""
        batch = self.batch(rows)
        audio, routing = self.listen(batch)
        answers = [self.data.clips[row].label for row in rows.tolist()]
        found = self.language_model.loss(self.prompts(rows, audio, answers), audio)
        return found if routing is None else found + weighted(self.probe, batch, routing)

    def right(self, rows: Tensor, control: RoutingControl | None = None) -> np.ndarray:
        """Which clips are answered right, `(rows,)` bool."""
        batch = self.batch(rows)
        audio, _ = self.listen(batch, control)
        asked = self.prompts(rows, audio, [""] * len(rows))
        first = self._first_tokens(asked, audio)  # (rows, labels)
        scores = first.masked_fill(~batch.allowed, float("-inf"))
        found = scores.argmax(dim=1)
        for place, row in enumerate(rows.tolist()):
            alike = [
                label
                for label in batch.allowed[place].nonzero().squeeze(1).tolist()
                if self._first[label] == self._first[int(found[place])]
            ]
            if len(alike) > 1:
                found[place] = self._likeliest(row, audio[place], alike)
        return (found == batch.targets).numpy()

    def _first_tokens(self, prompts: Sequence[Prompt], audio: Sequence[Tensor]) -> Tensor:
        """Log-probability of each label's first token, `(prompts, labels)`."""
        model = self.language_model
        ids = torch.nn.utils.rnn.pad_sequence([one.ids for one in prompts], batch_first=True)
        lengths = torch.tensor([len(one.ids) for one in prompts])
        real = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        states = model.states(model.embed(ids, torch.cat(list(audio))), real)
        last = states[torch.arange(len(prompts)), lengths - 1]
        logits = model.model.get_output_embeddings()(last).float()
        return logits.log_softmax(dim=1)[:, self._first]

    def _likeliest(self, row: int, audio: Tensor, labels: Sequence[int]) -> int:
        """The likeliest of labels that begin alike."""
        names = [self.data.labels[label] for label in labels]
        rows, tokens = torch.tensor([row] * len(labels)), [audio] * len(labels)
        scores = self.language_model.log_likelihoods(self.prompts(rows, tokens, names), tokens)
        return labels[int(scores.argmax())]


def run(
    arm: Arm, seed: int, data: Data, language_model: LanguageModel, questions: Mapping[str, str]
) -> dict[str, Any]:
    """Train one arm through a language model, and ask it about every held-out clip.

    Args:
        arm: The arm.
        seed: As in `fast.run`; the warm-up is the fast run of the same seed.
        data: What is shared.
        language_model: Fresh, with LoRA that has learnt nothing.
        questions: By task.

    Returns:
        As `fast.run`.

    Raises:
        ExperimentError: If the loss is no number.
    """
    started = time.process_time()
    if arm.from_nothing:
        torch.manual_seed(seed)
        probe = Probe(arm, data.bank, data.words)
    else:
        probe, _ = fast.train(arm, seed, data)
    answerer = Answerer(probe, data, language_model, questions)
    losses = _train(answerer, seed)
    found = _asked(answerer)
    return {**found, "losses": losses, "cpu_seconds": round(time.process_time() - started, 2)}


def _train(answerer: Answerer, seed: int) -> list[float]:
    probe, model = answerer.probe, answerer.language_model
    arm = probe.arm
    total = STEPS_FROM_NOTHING if arm.from_nothing else STEPS
    learned = [one for one in model.parameters() if one.requires_grad]
    rate = COLD_RATE if arm.from_nothing else WARM_RATE
    groups = [
        {"params": list(probe.parameters()), "lr": rate},
        {"params": learned, "lr": LORA_RATE},
    ]
    drawn = fast.draws(arm, seed + 1, answerer.data, BATCH, total)
    torch.manual_seed(seed + 2000)
    probe.train()
    model.train()
    losses = fast.descend(
        lambda step: answerer.loss(drawn[step]),
        total,
        groups,
        [*probe.parameters(), *learned],
        warm_up=WARM_UP,
        told=25,
        name=f"{arm.name}, {seed}",
    )
    probe.eval()
    model.eval()
    return losses


@torch.inference_mode()
def _asked(answerer: Answerer) -> dict[str, Any]:
    right: dict[str, dict[str, str]] = {}
    chosen: dict[str, dict[str, str]] = {}
    controls: dict[str, RoutingControl | None] = {"learned": None}
    if answerer.probe.router is not None:
        controls["no weak"] = RoutingControl(no_weak=True)
    for split in ("dev", "test"):
        rows = answerer.data.rows(split).split(_TOGETHER)
        for name, control in controls.items():
            if (name, split) == ("no weak", "test"):
                continue
            bits = [answerer.right(some, control) for some in rows if len(some)]
            right.setdefault(name, {})[split] = bits_to_text(np.concatenate(bits))
        chosen[split] = fast.chosen(answerer.probe, [answerer.batch(some) for some in rows])
    return {"right": right, "chosen": chosen}
