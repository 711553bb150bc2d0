"""Teach a finished checkpoint's language model to repeat a transcript as it stands.

`python -m mowe.training.copying CHECKPOINT --manifest FILE --out FOLDER`: LoRA alone, on prompts
that hold a text behind a recording's audio tokens and ask for it. A small language model that was
trained with texts to be mended mends what it does not expect, a name or a foreign word, into what
it does. Most examples are therefore sentences with words dropped, swapped or spelt
otherwise, to be repeated to the letter; the others are the manifest's own questions about the same
recordings, with what is said in them, so that nothing else is forgotten (decision 0023).
"""

import argparse
import random
import string
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mowe.audio import load_audio
from mowe.checkpoint import MoWE, write_checkpoint
from mowe.data.manifest import Example, read_manifest
from mowe.data.tasks import TRANSCRIBE
from mowe.errors import ConfigError, MoweError
from mowe.hints import spelled
from mowe.model import make_batch
from mowe.model.language_model import AUDIO_MARK, Message, Prompt
from mowe.training.prompts import conversation, copied

LEARNING_RATE = 2e-4
WARM_UP = 10  # steps
BATCH, COPIES = 8, 5  # examples a step, and how many of them are texts to be repeated
MAX_SECONDS = 8.0  # s; longer clips make every step longer
_CHANGED = 0.5  # share of the texts that are changed
_EDITS = (0.05, 0.4)  # share of a changed text's words


@dataclass(frozen=True)
class HeardLine:
    """A line of the manifest with what the mixture and its decoder make of the recording."""

    example: Example
    tokens: Tensor  # (audio_tokens, llm_dim)
    said: str


def draw(examples: Sequence[Example], clips: int, seed: int) -> list[Example]:
    """Lines with short recordings, evenly from tasks and sources.

    Raises:
        ConfigError: If none of them asks for a transcript.
    """
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for one in examples:
        if one.audio is not None and float(one.metadata.get("duration") or 99) <= MAX_SECONDS:
            groups[one.task, str(one.metadata.get("source"))].append(one)
    if not any(task == TRANSCRIBE for task, _ in groups):
        raise ConfigError("no line of the manifest asks for the transcript of a short recording")
    rng = random.Random(seed)
    queues = [rng.sample(group, len(group)) for _, group in sorted(groups.items())]
    drawn: list[Example] = []
    while len(drawn) < clips and any(queues):
        drawn += [queue.pop() for queue in queues if queue]
    kept = rng.sample(drawn, min(clips, len(drawn)))
    if not any(one.task == TRANSCRIBE for one in kept):
        raise ConfigError(f"of the {len(kept)} clips drawn none asks for a transcript: take more")
    return kept


@torch.inference_mode()
def hear(model: MoWE, example: Example) -> HeardLine:
    """Audio tokens under the learned routing, and the transcript.

    Raises:
        AudioError: If the recording cannot be used.
    """
    assert example.audio is not None
    recording = load_audio(example.audio, start=example.start, end=example.end)
    audio = {rate: torch.from_numpy(recording.at(rate)) for rate in model.sample_rates}
    tokens = model.listen(make_batch([audio])).audio_tokens()[0]
    *_, said = model.hints.write(model.base_encoder, audio[model.base_encoder.sample_rate])
    return HeardLine(example, tokens, spelled(said.text))


def changed(text: str, words: Sequence[str], rng: random.Random) -> str:
    """A text with some words dropped, put elsewhere, replaced by others or spelt otherwise."""
    row = text.split()
    for _ in range(max(1, round(len(row) * rng.uniform(*_EDITS)))):
        place = rng.randrange(len(row))
        kind = rng.randrange(4)
        if kind == 0 and len(row) > 2:
            del row[place]
        elif kind == 1:
            row.insert(rng.randrange(len(row)), row.pop(place))
        elif kind == 2:
            row[place] = rng.choice(words)
        else:
            at = rng.randrange(len(row[place]) + 1)
            letter = rng.choice(string.ascii_lowercase)
            row[place] = row[place][:at] + letter + row[place][at + rng.randrange(2) :]
    return " ".join(row) or text


class Lessons:
    """Draws the examples of a step."""

    def __init__(self, model: MoWE, heard: Sequence[HeardLine], texts: Sequence[str]) -> None:
        """Teach from recordings that were heard, and from texts that anybody might say."""
        self.language_model = model.language_model
        self.texts = texts
        self.words = sorted({word for text in texts for word in text.split()})
        self.spoken = [one for one in heard if one.said]
        self.asked = [one for one in heard if one.example.task == TRANSCRIBE]
        self.heard = heard

    def copy(self, rng: random.Random) -> tuple[Prompt, Tensor]:
        """A text behind some recording's audio tokens, and the request to write it down."""
        one, (question, *_) = rng.choice(self.spoken), conversation(rng.choice(self.asked).example)
        text = rng.choice(self.texts)
        if rng.random() < _CHANGED:
            text = changed(text, self.words, rng)
        messages = [question, Message("assistant", text)]
        return self._prompt(messages, one.tokens, text), one.tokens

    def replay(self, rng: random.Random) -> tuple[Prompt, Tensor]:
        """A line of the manifest; what is said is told, and repeated where it is asked for."""
        one = rng.choice(self.heard)
        messages = conversation(copied(one.example, one.said))
        return self._prompt(messages, one.tokens, one.said), one.tokens

    def _prompt(self, messages: Sequence[Message], tokens: Tensor, text: str) -> Prompt:
        marks = sum(message.content.count(AUDIO_MARK) for message in messages)
        return self.language_model.prompt(
            messages, [len(tokens)] * marks, reply=False, told=[(text,)] * marks
        )


def teach(model: MoWE, lessons: Lessons, steps: int, seed: int) -> list[float]:
    """Train LoRA, and return the loss of each step, in nats."""
    model.requires_grad_(False)
    learned = [
        parameter for name, parameter in model.language_model.named_parameters() if ".lora_" in name
    ]
    for parameter in learned:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learned, lr=LEARNING_RATE, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, 1 - step / (steps + 1))
    )
    losses = []
    model.train()
    for step in tqdm(range(steps), desc="copying", mininterval=5):
        rng = random.Random(f"{seed}:{step}")
        batch = [lessons.copy(rng) for _ in range(COPIES)]
        batch += [lessons.replay(rng) for _ in range(BATCH - COPIES)]
        prompts, audio = zip(*batch, strict=True)
        loss = model.language_model.loss(prompts, audio)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        rates.step()
        losses.append(loss.item())
    model.eval()
    return losses


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.copying", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of a finished checkpoint")
    parser.add_argument("--manifest", type=Path, required=True, help="its train lines are used")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--clips", type=int, default=400, help="recordings that are heard")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        examples = read_manifest(given.manifest, split="train")
        drawn = draw(examples, given.clips, given.seed)
        model = MoWE.from_pretrained(given.checkpoint)
        heard = [hear(model, one) for one in tqdm(drawn, desc="listening", mininterval=5)]
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    texts = sorted({one.answer for one in examples if one.task == TRANSCRIBE} - {""})
    losses = teach(model, Lessons(model, heard, texts), given.steps, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(given.out, model.config, model.trained_state())
    print(
        f"loss of the first ten steps {_mean(losses[:10])}, of the last ten {_mean(losses[-10:])}"
    )
    print(f"checkpoint: {given.out}")
    return 0


def _mean(losses: Sequence[float]) -> str:
    return f"{sum(losses) / max(1, len(losses)):.4f}"


if __name__ == "__main__":
    sys.exit(main())
