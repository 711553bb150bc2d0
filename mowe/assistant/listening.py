"""Recordings as the mixture and its hints hear them; a follow-up question hears nothing twice.

Whisper's decoder needs silence behind a short sound, which the mixture is not trained with: it
hears the base encoder once more, over a span that is padded (decision 0023).
"""

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from mowe.assistant.answer import WindowRouting, describe_routing
from mowe.assistant.memory import Memory
from mowe.audio import SAMPLE_RATE, Recording
from mowe.checkpoint import MoWE
from mowe.errors import QuestionError
from mowe.hints import Hints, Transcript
from mowe.hints.activity import WINDOW
from mowe.hints.transcript import LONGEST
from mowe.model import make_batch
from mowe.routing import RoutingControl

MAX_BYTES = 64_000_000  # of what was heard, over all conversations: some two hours of sound
_PADDED_SECONDS, _SILENCE_SECONDS = 10.0, 2.0  # s in all at least; s behind the sound at least
_SEGMENT_BYTES = 300  # of a line of a transcript, about


class HeardWindow(NamedTuple):
    """A window of a recording as the mixture heard it."""

    tokens: torch.Tensor  # (audio_tokens, llm_dim)
    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,) float32


class Listener:
    """Hears windows and speech with one mixture, and remembers by content what it heard."""

    def __init__(self, model: MoWE, max_bytes: int = MAX_BYTES) -> None:
        """Listen with a loaded mixture.

        Args:
            model: The mixture.
            max_bytes: Most that is kept of what was heard.
        """
        self.model = model
        self._windows: Memory[HeardWindow] = Memory(max_bytes)
        self._speech: Memory[Transcript] = Memory(max_bytes // 8)

    @property
    def hints(self) -> Hints:
        """What hears for the language model in words."""
        return self.model.hints

    @torch.inference_mode()
    def window(
        self, recording: Recording, start: float, end: float, control: RoutingControl | None
    ) -> HeardWindow:
        """The part between two times (s) as audio tokens, with its routing.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        key = (recording.content_hash, start, end, control)
        known = self._windows.get(key)
        if known is not None:
            return known
        model, part = self.model, recording.window(start, end)
        batch = make_batch([{rate: torch.from_numpy(part.at(rate)) for rate in model.sample_rates}])
        heard = model.listen(
            batch._replace(
                waveforms={rate: one.to(model.device) for rate, one in batch.waveforms.items()},
                lengths={rate: one.to(model.device) for rate, one in batch.lengths.items()},
            ),
            control,
        )
        about = describe_routing(heard.routing, model.encoder_names)
        routing = WindowRouting(0, round(start, 3), round(end, 3), **about)
        tokens, pooled = heard.audio_tokens()[0], heard.pooled[0].cpu().numpy()
        found = HeardWindow(tokens, routing, pooled)
        self._windows.put(key, found, tokens.nbytes + pooled.nbytes)
        return found

    def speech(
        self,
        recording: Recording,
        *,
        language: str = "",
        translate: bool = False,
        stop: threading.Event | None = None,
    ) -> Iterator[Transcript]:
        """What is said in it, growing; the last item is all of it, unless `stop` was set.

        Raises:
            QuestionError: If this mixture writes down no speech, or not in this language.
        """
        transcriber = self.hints.transcriber
        if transcriber is None:
            raise QuestionError(
                f"{self.model.config.preset} has no decoder that writes down speech; mini has one"
            )
        if language and language not in transcriber.languages:
            known = ", ".join(transcriber.languages)
            raise QuestionError(f"{language} is not among the languages that it knows: {known}")
        key = (recording.content_hash, language, translate)
        known_speech = self._speech.get(key)
        if known_speech is not None:
            yield known_speech
            return
        samples = torch.from_numpy(recording.at(SAMPLE_RATE)).to(self.model.device)
        written = transcriber.write(
            lambda start, end: self._frames(samples, start, end),
            self._activity(samples),
            language=language,
            translate=translate,
        )
        for transcript in written:
            yield transcript
            if stop is not None and stop.is_set():
                return
        self._speech.put(key, transcript, _SEGMENT_BYTES * (1 + len(transcript.segments)))

    def _activity(self, samples: torch.Tensor) -> torch.Tensor:
        if self.hints.activity is not None:
            return self.hints.activity(samples).cpu()
        return torch.ones(-(-len(samples) // WINDOW))

    @torch.inference_mode()
    def _frames(self, samples: torch.Tensor, start: float, end: float) -> torch.Tensor:
        """Base frames of the part between two times (s) with silence behind it."""
        part = samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        seconds = max(len(part) / SAMPLE_RATE + _SILENCE_SECONDS, _PADDED_SECONDS)
        missing = round(min(seconds, LONGEST) * SAMPLE_RATE) - len(part)
        padded = functional.pad(part, (0, max(missing, 0)))
        lengths = torch.tensor([len(padded)], device=padded.device)
        return self.model.base_encoder(padded[None], lengths).frames
