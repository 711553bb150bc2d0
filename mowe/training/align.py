"""The alignment stage: without the language model, the adapter learns to read and to name.

Ours, not the paper's (decisions 0007 and 0009): through the language model alone, alignment takes
tens of thousands of examples; with CTC first, two CPU cores are enough.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from mowe.adapter import LANGUAGE, NONE, SPEECH, Named, Namer, Reading
from mowe.encoders import EncodedAudio
from mowe.errors import ConfigError
from mowe.training.manifest import Example

_SHORT_MERGES = 2000  # of the pieces that spell what longer ones do not cover
_SILENT_PIECES = 10  # pieces that a sound without speech counts for in the mean loss


SOUND, CAPTION, COUNT = "sound", "caption", "count"
SOUND_TASKS = (SOUND, CAPTION, COUNT, "order", "compare")  # about sounds; a voice may be beside
SPOKEN_SETS = ("emotion", "gender", LANGUAGE)  # tasks whose answer is one label of a voice
NUMBERS = {
    **{word: place for place, word in enumerate(("one", "two", "three", "four", "five"), start=1)},
    **{str(number): number for number in range(1, 6)},
}


class TextPieces:
    """The language model's own tokens; words that they do not cover are spelt in short ones."""

    def __init__(self, tokenizer: Any, merges: int, ids: Sequence[int]) -> None:
        """Know the given pieces.

        Args:
            tokenizer: A fast tokenizer of transformers, byte-level BPE.
            merges: How many of its merges to use; fewer give shorter, more frequent pieces.
            ids: The pieces, as ids in the language model's vocabulary.
        """
        self._tokenizer, self._short = _cut(tokenizer, merges), _cut(tokenizer, _SHORT_MERGES)
        self.ids = list(ids)
        self._index = {token: index for index, token in enumerate(self.ids)}

    @classmethod
    def of_texts(
        cls,
        tokenizer: Any,
        merges: int,
        texts: Iterable[str],
        known: Callable[[str | None], bool] = lambda token: True,
    ) -> Self:
        """The pieces that some transcripts need.

        Args:
            tokenizer: See `__init__`.
            merges: See `__init__`.
            texts: The transcripts.
            known: Which tokens, as the tokenizer writes them, may be pieces of whole words.
        """
        cut, short, used = _cut(tokenizer, merges), _cut(tokenizer, _SHORT_MERGES), set[int]()
        for word in {word for text in texts for word in _words(text)}:
            ids = _ids(cut, word)
            whole = all(known(cut.id_to_token(token)) for token in ids)
            used.update(ids if whole else _ids(short, word))
        return cls(tokenizer, merges, sorted(used))

    def encode(self, text: str) -> list[int]:
        """Piece positions of a transcript; what even short pieces cannot spell is left out."""
        found: list[int] = []
        for word in _words(text):
            ids = _ids(self._tokenizer, word)
            if not all(token in self._index for token in ids):
                ids = _ids(self._short, word)
            found += [self._index[token] for token in ids if token in self._index]
        return found

    def decode(self, pieces: Sequence[int]) -> str:
        """Text of piece positions."""
        text: str = self._tokenizer.decode([self.ids[piece] for piece in pieces])
        return text.strip()


def _cut(tokenizer: Any, merges: int) -> Tokenizer:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    described["model"]["merges"] = described["model"]["merges"][:merges]
    described["model"]["ignore_merges"] = False
    return Tokenizer.from_str(json.dumps(described))


def _ids(tokenizer: Tokenizer, word: str) -> list[int]:
    ids: list[int] = tokenizer.encode(word, add_special_tokens=False).ids
    return ids


def _words(text: str) -> list[str]:
    """The words of `spoken_form`, each with the space before it."""
    return re.findall(r" [^ ]+", spoken_form(text))


def spoken_form(text: str) -> str:
    """Lower case, letters, digits and apostrophes only, one leading space per word."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'"))
    return "".join(f" {word}" for word in words)


def alignment_loss(reading: Reading, targets: Sequence[Sequence[int] | None]) -> Tensor:
    """Mean CTC loss per text piece, in nats.

    Args:
        reading: What the adapter read in a batch.
        targets: Piece positions per example; empty where nothing is said, None to leave one out.
    """
    rows = [row for row, target in enumerate(targets) if target is not None]
    if not rows:
        return reading.blank.new_zeros(())
    wanted = [target for target in targets if target is not None]
    sizes = torch.tensor([len(target) for target in wanted])
    flat = torch.tensor([piece + 1 for target in wanted for piece in target], dtype=torch.long)
    kept = Reading(*(part[rows] for part in reading))
    total = F.ctc_loss(
        kept.log_probabilities().transpose(0, 1),
        flat.to(kept.blank.device),  # 0 is the blank
        kept.mask.sum(dim=1),
        sizes.to(kept.blank.device),
        reduction="sum",
        zero_infinity=True,  # a transcript longer than its frames teaches nothing
    )
    return total / int(sizes.sum() + _SILENT_PIECES * (sizes == 0).sum())


@torch.no_grad()
def read_aloud(reading: Reading, pieces: TextPieces) -> list[str]:
    """Greedy CTC reading of each example: what the adapter alone understood."""
    best, said = reading.best()
    return [pieces.decode(row[kept].tolist()) for row, kept in zip(best, said, strict=True)]


def base_as_fused(base: EncodedAudio, fused_dim: int) -> Tensor:
    """Base frames with silent weak features beside them, `(batch, frames, fused_dim)`."""
    return F.pad(base.frames, (0, fused_dim - base.frames.shape[-1]))


class Label(NamedTuple):
    """What is known of a recording, as positions in the namer's lists; None where it is not."""

    events: list[int] | None  # sounds in the order they are heard
    labels: dict[str, int]  # set -> 0 for none, else 1 + position


def naming_loss(named: Named, known: Sequence[Label]) -> Tensor:
    """Mean cross-entropy of the labels known, plus mean CTC loss per sound, in nats."""
    total = named.events.blank.new_zeros(())
    answers = [
        (logits[row], one.labels[name])
        for name, logits in named.labels.items()
        for row, one in enumerate(known)
        if name in one.labels
    ]
    losses = [F.cross_entropy(row, torch.tensor(at, device=row.device)) for row, at in answers]
    if losses:
        total = total + torch.stack(losses).mean()
    return total + alignment_loss(named.events, [one.events for one in known])


def label_of(example: Example, namer: Namer) -> Label:
    """What the manifest says about a recording, for this namer."""
    events = events_of(example)
    places = {name: place for place, name in enumerate(namer.events)}
    found = None if events is None else [places[one] for one in events if one in places]
    known = labels_of(example)
    labels = {
        name: options.index(known[name])
        for name, options in namer.sets.items()
        if known.get(name) in options
    }
    return Label(found, labels)


def labels_of(example: Example) -> dict[str, str]:
    """Labels known of a whole recording, by set; `none` of every set where nobody speaks."""
    about = example.metadata
    if example.task in SOUND_TASKS and not about.get("speaker") and not about.get("language"):
        return dict.fromkeys(SPOKEN_SETS, NONE)
    known = {LANGUAGE: str(about.get("language") or "")}
    if example.task in SPOKEN_SETS:
        known[example.task] = str(about["label"])
    return {name: label for name, label in known.items() if label}


def events_of(example: Example) -> list[str] | None:
    """Sounds that a recording holds, in order; None where the manifest does not say."""
    about = example.metadata
    label, parts = str(about.get("label") or ""), str(about.get("labels") or "")
    if parts and about.get("speaker"):
        return None  # somebody speaks beside the sounds, who knows when
    if parts:
        sounds = parts.split(" | ")
        if example.task == COUNT:
            kinds = "different" in example.messages[-2][1]  # of sounds, not how often one is heard
            times = 0 if kinds else NUMBERS.get(label, 0)
            return sounds * times if len(sounds) == 1 and times else None
        return sounds if len(sounds) > 1 else None
    if example.task in (SOUND, CAPTION) and label:
        return label.split(", ")
    return [SPEECH] if about.get("language") else None


def known_names(
    groups: Mapping[str, Sequence[Example]], tasks: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Every sound and every label that occurs in the examples of some tasks.

    Returns:
        Sounds in alphabetical order, and labels by set.

    Raises:
        ConfigError: If a task does not occur, or an example of a set has no label.
    """
    events: set[str] = set()
    for task in tasks:
        if not groups.get(task):
            raise ConfigError(f"task {task!r} cannot be named: the manifest has no example of it")
        events.update(one for example in groups[task] for one in events_of(example) or ())
    sets = {}
    for task in (task for task in SPOKEN_SETS if task in tasks):
        labels = {str(example.metadata.get("label") or "") for example in groups[task]}
        if "" in labels:
            raise ConfigError(f"task {task!r} cannot be named: examples need a label each")
        sets[task] = sorted(labels)
    return sorted(events), sets
