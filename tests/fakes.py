"""Stand-ins for what is slow or random, with the same doors as the real thing."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mowe.assistant import Answer, HeardMemory, Sampling, Turn, WindowRouting
from mowe.audio import AudioLimits
from mowe.errors import QuestionError
from mowe.hints import Segment, Transcript

WINDOW_SECONDS = 30.0


class FakeAssistant:
    """Has the doors of `mowe.assistant.Assistant`; repeats what it was given, one word per step.

    A thread of its own makes the words, as a decoder would, so that tests can see it stop.
    """

    encoder_names = ("whisper-tiny.en", "speaker", "sound", "music", "pitch")
    preset = "fake"
    device = "cpu"
    notice = ""
    hints = ("transcript", "events", "voice")
    card = "# fake\n\n## Trained on\n\nNothing, see [here](rows.json).\n\n## Measured\n\nNo.\n"

    def __init__(self, words=12, step_seconds=0.02):
        self.words = words
        self.step_seconds = step_seconds
        self.limits = AudioLimits()
        self.max_question_chars = 200
        self.steps = 0  # words made so far, over all answers
        self.working = 0  # answers being made right now
        self.most_working = 0
        self.memories: list[HeardMemory | None] = []  # what the callers passed
        self.told: list[tuple[str, ...] | None] = []  # the same, of hints
        self.seen: list[tuple[tuple[Turn, ...], Sampling, object]] = []

    def stream(
        self,
        conversation: Sequence[Turn],
        *,
        sampling=None,
        control=None,
        stop=None,
        memory=None,
        hints=None,
    ) -> Iterator[Answer]:
        sampling, stop = sampling or Sampling(), stop or threading.Event()
        self.memories.append(memory)
        self.told.append(hints)
        self.seen.append((tuple(conversation), sampling, control))
        question = conversation[-1].text.strip()
        if not question:
            raise QuestionError("the question is empty; type one or pick a suggestion")
        if len(question) > self.max_question_chars:
            raise QuestionError(
                f"the question has {len(question)} characters, "
                f"at most {self.max_question_chars} are allowed"
            )
        words: queue.Queue[str | None] = queue.Queue()
        reply = self._reply(conversation)[: sampling.max_new_tokens]
        worker = threading.Thread(target=self._work, args=(reply, words, stop), daemon=True)
        answer = self._answer(conversation, sampling, control)
        yield answer
        worker.start()
        try:
            text = ""
            while (word := words.get()) is not None:
                text = f"{text} {word}".strip()
                yield replace(answer, text=text)
            timings = answer.timings | {
                "first_token": 0.25, "prefill": 0.13, "tokens_per_second": 18.0, "total": 1.2,
            }  # fmt: skip
            yield replace(answer, text=text, timings=timings, finished=True)
        finally:
            stop.set()

    def route_all(
        self, recordings, *, control=None, window_seconds=None, fused=False
    ) -> list[Answer]:
        seconds = window_seconds or WINDOW_SECONDS
        turns = [Turn("user", "", (one,)) for one in recordings]
        return [
            replace(self._answer([turn], Sampling(), control, seconds), finished=True)
            for turn in turns
        ]

    def stream_transcript(
        self, recording, *, language="", translate=False, stop=None, memory=None
    ) -> Iterator[Transcript]:
        self.memories.append(memory)
        if language not in ("", "French"):
            raise QuestionError(f"{language} is not among the languages that it knows: French")
        words = ("Good", "morning.") if translate else ("Bonjour.", "Au revoir.")
        said = [Segment(float(n), n + 0.5, word) for n, word in enumerate(words)]
        for count in range(len(said) + 1):
            yield Transcript(tuple(said[:count]), "French", recording.seconds)

    def log_likelihood(self, recordings, question, text, *, control=None, memory=None) -> float:
        """Half a nat per word as it answers by itself, three quarters otherwise."""
        return -len(text.split()) * (0.5 if control is None else 0.75)

    def _work(self, reply: list[str], words: queue.Queue, stop: threading.Event) -> None:
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        try:
            for word in reply:
                if stop.wait(self.step_seconds):
                    break
                self.steps += 1
                words.put(word)
        finally:
            self.working -= 1
            words.put(None)

    def _reply(self, conversation: Sequence[Turn]) -> list[str]:
        recordings = [one for turn in conversation for one in turn.recordings]
        said = [f"You asked «{conversation[-1].text.strip()}»"]
        if recordings:
            last = recordings[-1]
            level = float(np.sqrt(np.mean(last.samples**2)))
            said.append(f"and I heard {len(recordings)} recording(s);")
            said.append(f"the last lasts {last.seconds:.2f} s at a level of {level:.3f}.")
        return " ".join(said).split() + ["word"] * self.words

    def _answer(
        self,
        conversation: Sequence[Turn],
        sampling: Sampling,
        control,
        window_seconds: float = WINDOW_SECONDS,
    ) -> Answer:
        recordings = [one for turn in conversation for one in turn.recordings]
        windows = tuple(
            self._window(number, start, end, control)
            for number, recording in enumerate(recordings)
            for start, end in recording.windows(window_seconds)
        )
        audio = tuple(
            {
                "name": recording.name,
                **recording.treatment.to_dict(),
                "windowed": recording.seconds > window_seconds,
                "sentence": recording.treatment.sentence(),
            }
            for recording in recordings
        )
        return Answer(
            text="",
            question=conversation[-1].text,
            preset=self.preset,
            seed=sampling.seed,
            windows=windows,
            embedding=np.zeros(8, dtype=np.float32),
            audio=audio,
            timings={"decode": 0.01, "encoders": 0.12, "prefill": 0.0, "total": 0.12},
            mode="all windows together" if windows else "no audio",
            versions={"mowe": "0.2.0", "torch": "2.13.0+cpu"},
            finished=False,
            notice=self.notice,
        )

    def _window(self, number: int, start: float, end: float, control) -> WindowRouting:
        leaning = 0.1 + 0.04 * (int(start) // 30 % 4)
        dependent = (0.62 - leaning, 0.08, 0.2 + leaning, 0.06, 0.04)
        independent = (0.34, 0.21, 0.24, 0.09, 0.12)
        chosen: tuple[str, ...] = ("whisper-tiny.en",)
        if control is not None and control.force:
            chosen = control.force
        if control is not None and control.no_weak:
            chosen = ()
        return WindowRouting(
            recording=number,
            start=start,
            end=end,
            independent=dict(zip(self.encoder_names, independent, strict=True)),
            dependent=dict(zip(self.encoder_names, dependent, strict=True)),
            chosen=chosen,
            entropy=1.1,
            margin=0.2,
        )

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether no answer is being made any more within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.working and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.working == 0
