"""Recordings as the mixture and its hints hear them; a follow-up question hears nothing twice."""

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from mowe.assistant.answer import WindowRouting, describe_routing
from mowe.assistant.memory import Memory
from mowe.audio import SAMPLE_RATE, Recording
from mowe.checkpoint import MoWE
from mowe.errors import QuestionError
from mowe.hints import Transcript
from mowe.model import make_batch
from mowe.model.control import RoutingControl

MAX_BYTES = 64_000_000  # of what was heard, over all conversations: some two hours of sound
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

    def forget(self) -> None:
        """Keep nothing of what was heard, for measurements of listening."""
        self._windows.clear()
        self._speech.clear()

    @torch.inference_mode()
    def window(
        self, recording: Recording, start: float, end: float, control: RoutingControl | None
    ) -> HeardWindow:
        """The part between two times (s) as audio tokens, with its routing.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        # a recording that is kept at another rate is a few samples longer or shorter
        key = (recording.content_hash, round(start, 1), round(end, 1), control)
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
        transcriber = self.model.hints.transcriber
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
        written = self.model.hints.write(
            self.model.base_encoder, samples, language=language, translate=translate
        )
        for transcript in written:
            yield transcript
            if stop is not None and stop.is_set():
                return
        self._speech.put(key, transcript, _SEGMENT_BYTES * (1 + len(transcript.segments)))
