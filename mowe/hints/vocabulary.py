"""Whisper's tokens: text, languages, tasks and times, and what it is not to write."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from mowe.errors import WeightsError
from mowe.files import read_json

SECONDS_PER_TIME = 0.02  # s; the step of time tokens, one per encoder frame
TIMES = 1501  # time tokens, 0 to 30 s
REFETCH = "fetch the component again"


class Vocabulary:
    """What a Whisper's tokens mean.

    Attributes:
        languages: Token of each language by its English name, in the order of the tokens.
        never: Tokens that are never written: signs that are no speech, and control tokens.
        figures: Tokens that hold a digit.
        blank: Token of a lone space.
    """

    def __init__(self, tokenizer: Tokenizer, never: Sequence[int] = ()) -> None:
        """Read the special tokens off a tokenizer.

        Raises:
            WeightsError: If one is missing.
        """
        self._tokenizer = tokenizer
        self.start = self._id("<|startoftranscript|>")
        self.end = self._id("<|endoftext|>")
        self.blank = self._id("Ġ")
        self.tasks = {name: self._id(f"<|{name}|>") for name in ("transcribe", "translate")}
        # newer vocabularies call the same token so
        self.silence = self._id("<|nocaptions|>", "<|nospeech|>")
        self.first_time = self._id("<|notimestamps|>") + 1
        self.size = self.first_time + TIMES
        known = tokenizer.get_vocab()
        codes = {f"<|{code}|>": name.title() for code, name in LANGUAGES.items()}
        found = sorted((known[token], name) for token, name in codes.items() if token in known)
        self.languages = {name: token for token, name in found if self.start < token}
        controls = range(self.end + 1, self.first_time)
        self.never = tuple(sorted({*never, *controls}))
        self.figures = tuple(
            token
            for text, token in known.items()
            if token < self.end and any(sign.isdigit() for sign in text)
        )

    def text(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, times and control tokens left out."""
        words: str = self._tokenizer.decode([token for token in tokens if token < self.end])
        return words

    def seconds(self, token: int) -> float:
        """The time that a time token means, s after the start of the window."""
        return (token - self.first_time) * SECONDS_PER_TIME

    def _id(self, *names: str) -> int:
        found = [one for one in map(self._tokenizer.token_to_id, names) if one is not None]
        if not found:
            raise WeightsError(f"the tokenizer is not Whisper's, it lacks {names[0]}")
        return int(found[0])


def byte_vocabulary() -> Vocabulary:
    """Single bytes beside Whisper's special tokens, for random decoders: needs no file."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={sign: i for i, sign in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tasks = ("translate", "transcribe", "startoflm", "startofprev", "nocaptions", "notimestamps")
    special = ("endoftext", "startoftranscript", *LANGUAGES, *tasks)
    tokenizer.add_special_tokens([f"<|{name}|>" for name in special])
    return Vocabulary(tokenizer)


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of a Whisper in hub layout.

    Raises:
        WeightsError: If a file is missing, or it is no Whisper's that knows times.
    """
    generation = read_json(folder / "generation_config.json", WeightsError, REFETCH)
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(f"{folder.name} holds no tokenizer.json; {REFETCH}")
    never = [token for token in generation.get("suppress_tokens") or () if token >= 0]
    return Vocabulary(Tokenizer.from_file(str(path)), never)
