"""What the model would have answered, had other weak encoders run.

Every variant gets the same clip, question and seed; only the routing differs.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mowe.assistant import APART, Answer, Assistant, HeardMemory, Sampling, Turn
from mowe.audio import Recording
from mowe.model.control import RoutingControl

LEARNED = "learned routing"
SAME, REMOVED, ADDED = "same", "removed", "added"


class Variant(NamedTuple):
    """One way to route."""

    name: str
    control: RoutingControl | None  # None leaves the learned routing


class Piece(NamedTuple):
    """Neighbouring words that one text shares with the other, lacks or has alone."""

    words: str
    change: str  # SAME, REMOVED or ADDED


@dataclass(frozen=True)
class Counterfactual:
    """One variant's answer beside that of the learned routing."""

    variant: str
    ran: tuple[str, ...]  # encoders that ran in any window
    text: str
    pieces: tuple[Piece, ...]  # how the text differs from the learned routing's
    log_likelihood: float | None  # nats, of the learned routing's text under this variant
    change: float | None  # nats, of that; 0 for the learned routing
    finished: bool

    @property
    def same(self) -> bool:
        """Whether it says the same words."""
        return all(piece.change == SAME for piece in self.pieces)

    def words(self, change: str) -> int:
        """How many words were `REMOVED`, `ADDED` or stayed the `SAME`."""
        return sum(len(piece.words.split()) for piece in self.pieces if piece.change == change)


def variants(encoder_names: Sequence[str]) -> list[Variant]:
    """The learned routing, each encoder alone, none of them, and all of them."""
    learned = Variant(LEARNED, None)
    if not encoder_names:
        return [learned]
    forced = [Variant(f"only {name}", RoutingControl(force=(name,))) for name in encoder_names]
    none = Variant("no weak encoder", RoutingControl(no_weak=True))
    dense = Variant("all encoders (dense)", RoutingControl(dense=True))
    return [learned, *forced, none, dense]


def counterfactuals(
    assistant: Assistant, recording: Recording, question: str, *, sampling: Sampling | None = None
) -> Iterator[Counterfactual]:
    """Answer one question under every variant, the learned routing first.

    Items come as words do; the last one of each variant is `finished`, and only it has the
    differences and the likelihood. Closing the iterator ends the decoding within one token.

    A recording that is answered window by window has no likelihood (None): no single prompt leads
    to its answer.

    Args:
        assistant: Who answers.
        recording: The clip.
        question: The instruction.
        sampling: How to decode, the same for all; greedy by default.

    Raises:
        QuestionError: If the question is empty or too long.
    """
    sampling, memory = sampling or Sampling(), HeardMemory()
    learned: Counterfactual | None = None
    for variant in variants(assistant.encoder_names):
        turns = [Turn("user", question, (recording,))]
        answers = assistant.stream(turns, sampling=sampling, control=variant.control, memory=memory)
        try:
            for answer in answers:
                if not answer.finished:
                    yield _growing(variant, answer)
        finally:
            answers.close()  # type: ignore[attr-defined]  # a generator, whose thread must end
        before = learned.text if learned else answer.text
        likelihood = None
        if answer.mode != APART:
            likelihood = assistant.log_likelihood(
                [recording], question, before, control=variant.control, memory=memory
            )
        done = _finished(variant, answer, before, likelihood, learned)
        learned = learned or done
        yield done


def word_changes(before: str, after: str) -> tuple[Piece, ...]:
    """How to turn one text into the other; words to remove come before those to add."""
    old, new = before.split(), after.split()
    pieces = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece(" ".join(old[start:end]), SAME))
            continue
        for words, change in ((old[start:end], REMOVED), (new[first:last], ADDED)):
            if words:
                pieces.append(Piece(" ".join(words), change))
    return tuple(pieces)


def _growing(variant: Variant, answer: Answer) -> Counterfactual:
    return Counterfactual(variant.name, _ran(answer), answer.text, (), None, None, False)


def _finished(
    variant: Variant,
    answer: Answer,
    before: str,
    likelihood: float | None,
    learned: Counterfactual | None,
) -> Counterfactual:
    reference = learned.log_likelihood if learned else likelihood
    return Counterfactual(
        variant=variant.name,
        ran=_ran(answer),
        text=answer.text,
        pieces=word_changes(before, answer.text),
        log_likelihood=likelihood,
        change=None if likelihood is None or reference is None else likelihood - reference,
        finished=True,
    )


def _ran(answer: Answer) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for window in answer.windows for name in window.chosen))
