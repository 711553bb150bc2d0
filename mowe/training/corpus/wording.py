"""How tasks are asked and answered: several wordings each, and the words for every sound class."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mowe.training.corpus.clips import Clip

Message = dict[str, str]

TRANSCRIBE = (
    "Transcribe the speech.",
    "Write down what is said.",
    "What does the speaker say?",
    "What is being said?",
    "Please transcribe this recording.",
    "Give me the words that are spoken.",
)
LANGUAGE = (
    "What language is spoken?",
    "Which language is this?",
    "What language does the speaker use?",
    "Name the language of the recording.",
)
GENDER = (
    "Is the speaker a man or a woman?",
    "Is this the voice of a woman or a man?",
    "Who is speaking, a man or a woman?",
    "Does a man or a woman speak?",
)
SOUND = (
    "What sound is this?",
    "What do you hear?",
    "Name the sound.",
    "What can be heard in the recording?",
    "What makes this sound?",
)
CAPTION = (
    "Describe the audio.",
    "Describe what you hear in one sentence.",
    "Write a caption for this recording.",
    "Give a short description of the sound.",
)

# label -> what the question "What sound is this?" is answered with
SOUNDS: Mapping[str, str] = {
    "dog bark": "A dog barking.",
    "rain": "Rain falling.",
    "sea waves": "Sea waves.",
    "baby cry": "A baby crying.",
    "clock tick": "A clock ticking.",
    "person sneeze": "A person sneezing.",
    "helicopter": "A helicopter flying.",
    "chainsaw": "A chainsaw running.",
    "rooster": "A rooster crowing.",
    "fire crackling": "A crackling fire.",
    "footsteps": "Footsteps.",
    "gunshot": "A gunshot.",
    "explosion": "An explosion.",
    "door": "A door.",
    "breaking glass": "Glass breaking.",
    "thunder": "Thunder.",
    "water": "Water flowing.",
    "splash": "A splash of water.",
    "cry of pain": "A person crying out in pain.",
    "engine": "An engine running.",
    "drum": "A drum hit.",
    "cymbal": "A cymbal.",
    "guitar": "A guitar chord.",
}

# label -> sentences that describe a recording of it
CAPTIONS: Mapping[str, tuple[str, ...]] = {
    "dog bark": (
        "A dog barks.",
        "A dog is barking nearby.",
        "The barking of a dog breaks the silence.",
        "A dog barks at something.",
    ),
    "rain": (
        "Rain is falling steadily.",
        "Steady rain patters on the ground.",
        "It is raining, and drops hit a surface.",
        "A shower of rain falls.",
    ),
    "sea waves": (
        "Waves roll onto a beach.",
        "Sea waves break on the shore.",
        "The sea washes in and out.",
        "Waves of the sea crash and hiss on the shore.",
    ),
    "baby cry": (
        "A baby is crying.",
        "A baby cries out loud.",
        "An upset baby cries and wails.",
        "A small baby cries without being comforted.",
    ),
    "clock tick": (
        "A clock ticks steadily.",
        "The regular ticking of a clock.",
        "A clock is ticking in a quiet room.",
        "A clock ticks, second after second.",
    ),
    "person sneeze": (
        "A person sneezes.",
        "Someone sneezes loudly.",
        "A sudden sneeze from a person.",
        "A person lets out a sneeze.",
    ),
    "helicopter": (
        "A helicopter flies by.",
        "The rotor of a helicopter beats the air.",
        "A helicopter hovers overhead.",
        "A helicopter passes with its blades chopping.",
    ),
    "chainsaw": (
        "A chainsaw is running.",
        "A chainsaw revs its engine and cuts.",
        "Someone works with a chainsaw.",
        "The engine of a chainsaw roars.",
    ),
    "rooster": (
        "A rooster crows.",
        "A rooster crows in a farmyard.",
        "The loud crowing of a rooster.",
        "A rooster lets out its call.",
    ),
    "fire crackling": (
        "A fire crackles.",
        "Wood crackles and pops in a fire.",
        "A crackling fire burns.",
        "A fire burns with small pops and crackles.",
    ),
}


@dataclass(frozen=True)
class Task:
    """A task: its questions, and the answer that a clip gives."""

    questions: tuple[str, ...]
    answer: Callable[[Clip, random.Random], str]
    label: Callable[[Clip], str]  # what is balanced and scored

    def messages(self, clip: Clip, rng: random.Random) -> list[Message]:
        """One question with the place of the audio marked, and its answer."""
        return [
            {"role": "user", "content": f"<audio> {rng.choice(self.questions)}"},
            {"role": "assistant", "content": self.answer(clip, rng)},
        ]


TASKS: Mapping[str, Task] = {
    "transcribe": Task(TRANSCRIBE, lambda clip, _: clip.text, lambda _: ""),
    "language": Task(LANGUAGE, lambda clip, _: f"{clip.language}.", lambda clip: clip.language),
    "gender": Task(GENDER, lambda clip, _: f"A {clip.gender}.", lambda clip: clip.gender),
    "sound": Task(SOUND, lambda clip, _: SOUNDS[clip.label], lambda clip: clip.label),
    "caption": Task(
        CAPTION, lambda clip, rng: rng.choice(CAPTIONS[clip.label]), lambda clip: clip.label
    ),
}
