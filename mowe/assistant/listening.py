"""Recordings as the mixture and its hints hear them; a follow-up question hears nothing twice."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from mowe.assistant.answer import WindowRouting, describe_routing
from mowe.assistant.memory import HeardMemory
from mowe.assistant.prompts import Window
from mowe.audio import SAMPLE_RATE, Recording
from mowe.checkpoint import MoWE
from mowe.errors import QuestionError
from mowe.hints import Transcript
from mowe.hints.events import step_levels
from mowe.hints.heads import UtteranceHeads
from mowe.hints.told import HeardSounds, heard_sounds
from mowe.model import make_batch
from mowe.model.control import RoutingControl

_SEGMENT_BYTES = 300  # of a line of a transcript, about
_SPAN_BYTES = 16  # of two times
_EVENT_BYTES = 300  # of a sound, about


class HeardWindow(NamedTuple):
    """A window of a recording as the mixture heard it."""

    tokens: torch.Tensor  # (audio_tokens, llm_dim)
    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,) float32
    sounds: HeardSounds | None  # of a mixture with heads


class Listener:
    """Hears windows and speech with one mixture; a memory that it is given holds what it heard."""

    def __init__(self, model: MoWE, emotion: UtteranceHeads | None = None) -> None:
        """Listen with a loaded mixture, and with the part that guesses feelings, if it is there."""
        self.model, self.emotion = model, emotion
        self._name = uuid.uuid4().hex  # of this mixture, in the keys of every memory

    def windows(
        self,
        recordings: Sequence[Recording],
        control: RoutingControl | None,
        memory: HeardMemory,
        stop: threading.Event | None = None,
    ) -> list[Window]:
        """Every window of every recording; where `stop` is set, those heard by then, at least one.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        windows: list[Window] = []
        for number, recording in enumerate(recordings):
            spans = self._spans(recording, memory)
            for start, end in spans:
                if windows and stop is not None and stop.is_set():
                    return windows
                heard = self.window(recording, start, end, control, memory)
                routing = replace(heard.routing, recording=number)
                whole = len(spans) == 1
                windows.append(
                    Window(
                        number,
                        start,
                        end,
                        whole,
                        heard.tokens,
                        routing,
                        heard.pooled,
                        heard.sounds,
                    )
                )
        return windows

    def transcripts(
        self,
        recordings: Sequence[Recording],
        memory: HeardMemory,
        stop: threading.Event | None = None,
    ) -> list[Transcript]:
        """What is said in every recording; nothing where this mixture writes down no speech."""
        if self.model.hints.transcriber is None:
            return [Transcript() for _ in recordings]
        found = []
        for recording in recordings:
            *_, transcript = self.speech(recording, memory, stop=stop)
            found.append(transcript)
        return found

    def _spans(self, recording: Recording, memory: HeardMemory) -> list[tuple[float, float]]:
        """Start and end (s) of its windows.

        A recording that is kept at another rate is a sample longer or shorter; its windows stay
        those that were heard.
        """
        seconds = self.model.config.window_seconds
        key = ("spans", recording.content_hash, seconds)
        known: list[tuple[float, float]] | None = memory.get(key)
        if known is None:
            known = recording.windows(seconds)
            memory.put(key, known, _SPAN_BYTES * len(known))
        return known

    @torch.inference_mode()
    def window(
        self,
        recording: Recording,
        start: float,
        end: float,
        control: RoutingControl | None,
        memory: HeardMemory,
    ) -> HeardWindow:
        """The part between two times (s) as audio tokens, with its routing.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        key = ("window", self._name, recording.content_hash, start, end, control)
        known: HeardWindow | None = memory.get(key)
        if known is not None:
            return known
        model, part = self.model, recording.window(start, end)
        batch = make_batch([{rate: torch.from_numpy(part.at(rate)) for rate in model.sample_rates}])
        heard = model.listen(
            batch.to(model.device),
            control,
        )
        about = describe_routing(heard.routing, model.encoder_names)
        routing = WindowRouting(0, round(start, 3), round(end, 3), **about)
        tokens, pooled = heard.audio_tokens()[0], heard.pooled[0].cpu().numpy()
        sounds = None
        if model.heads is not None:
            levels = step_levels(part.at(SAMPLE_RATE), SAMPLE_RATE)
            sounds = heard_sounds(model.heads, model.heads(*heard.fused), levels)
            if self.emotion is not None:
                guessed = {name: one[0].cpu() for name, one in self.emotion(*heard.fused).items()}
                sounds = sounds._replace(labels={**sounds.labels, **guessed})
        found = HeardWindow(tokens, routing, pooled, sounds)
        memory.put(key, found, tokens.nbytes + pooled.nbytes + _EVENT_BYTES * _count(sounds))
        return found

    def speech(
        self,
        recording: Recording,
        memory: HeardMemory,
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
            there_are = ", ".join(transcriber.languages)
            raise QuestionError(f"{language} is not among the languages that it knows: {there_are}")
        key = ("speech", self._name, recording.content_hash, language, translate)
        known: Transcript | None = memory.get(key)
        if known is not None:
            yield known
            return
        samples = torch.from_numpy(recording.at(SAMPLE_RATE)).to(self.model.device)
        written = self.model.hints.write(
            self.model.base_encoder, samples, language=language, translate=translate
        )
        for transcript in written:
            yield transcript
            if stop is not None and stop.is_set():
                return
        memory.put(key, transcript, _SEGMENT_BYTES * (1 + len(transcript.segments)))


def _count(sounds: HeardSounds | None) -> int:
    return 0 if sounds is None else 1 + len(sounds.events)
