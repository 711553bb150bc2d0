"""What an assistant takes and gives: sampling, turns, answers with their routing."""

import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

import mowe
from mowe.audio import Recording
from mowe.errors import QuestionError
from mowe.model.routing import Routing

UNTRAINED = "this mixture has not been trained"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the reply is decoded."""

    max_new_tokens: int = 200  # 1 to 1000
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 0.9  # probability mass, in (0, 1]; only where temperature > 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.max_new_tokens <= 1000:
            raise QuestionError(f"max_new_tokens must be 1 to 1000, found {self.max_new_tokens}")
        if not 0 <= self.temperature <= 2:
            raise QuestionError(f"temperature must be 0 to 2, found {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise QuestionError(f"top_p must be above 0 and at most 1, found {self.top_p}")


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation, with the recordings that came with it."""

    role: str  # "user" or "assistant"
    text: str
    recordings: tuple[Recording, ...] = ()


@dataclass(frozen=True)
class WindowRouting:
    """Which weak encoders ran for one window of one recording."""

    recording: int  # counted through the conversation, from 0
    start: float  # seconds
    end: float  # seconds
    independent: dict[str, float]  # probability by encoder; empty without that router
    dependent: dict[str, float]
    chosen: tuple[str, ...]
    entropy: float  # nats, of the data-dependent router where there is one
    margin: float  # largest minus second largest probability


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply so far, and everything that is known about how it came about."""

    text: str
    question: str
    preset: str
    seed: int
    windows: tuple[WindowRouting, ...]
    embedding: np.ndarray  # (base_dim,) float32, mean base embedding of the last recording
    fused: np.ndarray | None = None  # (fused_dim,) float32, the same of the fused frames, if asked
    audio: tuple[dict[str, Any], ...]  # what was done to each recording
    transcripts: tuple[dict[str, Any], ...] = ()  # what is said in each, as the model was told
    hints: tuple[str, ...] = ()  # lines about each recording, or window, as the model was told
    timings: dict[str, float]  # seconds; tokens_per_second is a rate
    mode: str
    versions: dict[str, str]
    finished: bool
    notice: str = ""  # what must be known of the mixture: `UNTRAINED`, or nothing

    def rows(self) -> list[dict[str, Any]]:
        """One row per window: seconds, nats, and a column per router and encoder."""
        rows = []
        for number, window in enumerate(self.windows):
            row: dict[str, Any] = {
                "preset": self.preset,
                "window": number,
                "start": window.start,
                "end": window.end,
                "chosen": " + ".join(window.chosen),
                "entropy": window.entropy,
                "margin": window.margin,
            }
            row |= {f"independent_{name}": share for name, share in window.independent.items()}
            row |= {f"dependent_{name}": share for name, share in window.dependent.items()}
            rows.append(row | {"audio": self.audio[window.recording]["sentence"]})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the embedding's digits beyond float32."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["windows"] = [
            asdict(window) | {"chosen": list(window.chosen)} for window in self.windows
        ]
        plain["embedding"] = self.embedding.tolist()
        if self.fused is None:
            del plain["fused"]
        else:
            plain["fused"] = self.fused.tolist()
        plain["audio"] = list(self.audio)
        plain["transcripts"] = list(self.transcripts)
        plain["hints"] = list(self.hints)
        return plain


def describe_routing(routing: Routing, names: tuple[str, ...], row: int = 0) -> dict[str, Any]:
    """An example's routing in words and numbers: the fields of `WindowRouting`."""
    rows = {
        "independent": routing.independent,
        "dependent": routing.dependent,
    }
    described: dict[str, Any] = {
        kind: {} if shares is None else dict(zip(names, shares[row].tolist(), strict=True))
        for kind, shares in rows.items()
    }
    chosen = routing.chosen[row].tolist() if routing.weights else []
    described["chosen"] = tuple(
        name for name, ran in zip(names, chosen, strict=bool(chosen)) if ran
    )
    leading = sorted((described["dependent"] or described["independent"]).values(), reverse=True)
    described["entropy"] = -sum(one * math.log(one) for one in leading if one > 0)
    described["margin"] = leading[0] - leading[1] if len(leading) > 1 else 0.0
    return described


def versions() -> dict[str, str]:
    """Versions of what an answer depends on."""
    packages = ("torch", "transformers", "peft", "torchaudio")
    return {"mowe": mowe.__version__, **{name: version(name) for name in packages}}
