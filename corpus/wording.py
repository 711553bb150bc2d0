"""How tasks are asked and answered: several wordings each, and the words of the answers."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from corpus.clips import Ask, Clip
from corpus.sounds import PEOPLE, SOUNDS

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
GENDERS = ("man", "woman")

TRANSCRIBE = (
    "Transcribe the speech.",
    "Write down what is said.",
    "What does the speaker say?",
    "What is being said?",
    "Please transcribe this recording.",
    "Give me the words that are spoken.",
)
EMOTION = (
    "What emotion does the speaker express?",
    "How does the speaker feel?",
    "What is the speaker's mood?",
    "Which emotion do you hear in the voice?",
    "How does the voice sound?",
    "Name the emotion of the speaker.",
    "Which emotion is it: {options}?",
    "Which of these emotions does the speaker express: {options}?",
    "Does the speaker sound {options}?",
    "Is the voice {options}?",
)
LANGUAGE = (
    "What language is spoken?",
    "Which language is this?",
    "What language does the speaker use?",
    "Name the language of the recording.",
    "In which language does the speaker talk?",
    "Which language do you hear?",
)
GENDER = (
    "Is the speaker a man or a woman?",
    "Is this the voice of a woman or a man?",
    "Who is speaking, a man or a woman?",
    "Does a man or a woman speak?",
    "Do you hear a woman or a man?",
    "Who is talking, a woman or a man?",
)
SOUND = (
    "What sound is this?",
    "What do you hear?",
    "Name the sound.",
    "What can be heard in the recording?",
    "What makes this sound?",
    "Which sound do you hear?",
)
CAPTION = (
    "Describe the audio.",
    "Describe what you hear in one sentence.",
    "Write a caption for this recording.",
    "Give a short description of the sound.",
    "Caption this audio.",
    "What happens in this recording?",
)

# --- questions that follow from the labels of clips -------------------------------------------

PRESENCE = (
    "Do you hear {noun}?",
    "Can you hear {noun}?",
    "Can you make out {noun} in this recording?",
    "Does the recording contain the sound of {noun}?",
    "Do you notice {noun}?",
    "Listen closely: do you hear {noun}?",
)
SPEAKING = (
    "Is somebody speaking?",
    "Does anybody speak?",
    "Is there speech in the recording?",
    "Can you hear someone talking?",
    "Are any words spoken?",
    "Do you hear a person speaking?",
)
MENTION = (
    'Is the word "{word}" said?',
    'Does the speaker say "{word}"?',
    'Do you hear the word "{word}"?',
    'Is "{word}" among the words?',
    'Does the word "{word}" occur?',
    'Is the word "{word}" spoken in this recording?',
)
FIRST_WORD = (
    "What is the first word?",
    "Which word comes first?",
    "With which word does the speaker begin?",
)
LAST_WORD = (
    "What is the last word?",
    "Which word comes last?",
    "With which word does the speaker end?",
)
WHICH_WORD = (
    "Which of these words is said: {options}?",
    "Which word do you hear: {options}?",
    "Does the speaker say {options}?",
)
NTH_DIGIT = (
    "What is the {place} digit?",
    "Which digit comes {place}?",
    "Tell me the {place} digit that is spoken.",
)
LAST_DIGIT = ("What is the last digit?", "Which digit comes last?", "With which digit does it end?")
HOW_MANY_DIGITS = (
    "How many digits are spoken?",
    "How many digits do you hear?",
    "Count the digits.",
)
HAS_DIGIT = (
    "Is there a {digit}?",
    "Does the speaker say {digit}?",
    "Do you hear the digit {digit}?",
)
PROMPT = (
    "Which key do I press {purpose}?",
    "What should I press {purpose}?",
    "Which key is it {purpose}?",
    "Tell me the key {purpose}.",
    "I want to know what to press {purpose}.",
    "What do I have to press {purpose}?",
)
PERSONAL = (
    "What is the speaker's name?",
    "How old is the speaker?",
    "Where was this recorded?",
    "What does the speaker look like?",
    "When was this recorded?",
    "Which clothes does the speaker wear?",
)
INSTRUMENT = ("Which instrument plays?", "What instrument do you hear?", "Name the instrument.")
ANIMAL = ("Which animal is it?", "What animal do you hear?", "Name the animal.")

CANNOT_TELL = "cannot tell"  # label of every question that the audio leaves open
PERSONAL_ANSWERS = (
    "I cannot tell from this recording.",
    "The recording does not say.",
    "That cannot be heard.",
)
NO_SPEECH = ("Nobody speaks in this recording.", "There is no speech in this recording.")
NO_INSTRUMENT = ("No instrument plays in this recording.", "I hear no instrument.")
NO_ANIMAL = ("There is no animal in this recording.", "I hear no animal.")

# --- questions about clips made of other clips --------------------------------------------------

FIRST = (
    "Which comes first, {options}?",
    "What do you hear first, {options}?",
    "Which of the two sounds comes first, {options}?",
    "Is the first sound {options}?",
    "What starts the recording, {options}?",
    "Which sound is earlier, {options}?",
)
AFTER = (
    "What do you hear after {noun}?",
    "Which sound follows {noun}?",
    "What comes right after {noun}?",
)
LIST = (
    "List the sounds in order.",
    "Which sounds do you hear, one after the other?",
    "Name every sound in the order you hear them.",
)
TIMES = (
    "How many {many} do you hear?",
    "How many {many} are there?",
    "Count the {many}.",
    "Tell me the number of {many}.",
    "How many {many} can be heard?",
    "How many {many} does the recording hold?",
)
DIFFERENT = (
    "How many different sounds are there?",
    "How many different sounds do you hear?",
    "Count the different sounds.",
)
LOUDER = (
    "Which sound is louder, {options}?",
    "What is louder, {options}?",
    "Which of the two is louder, {options}?",
)
LONGER = (
    "Which sound is longer, {options}?",
    "What lasts longer, {options}?",
    "Which of the two lasts longer, {options}?",
)

# --- questions without audio --------------------------------------------------------------------

DEFINE = (
    'What does the word "{word}" mean?',
    'Define "{word}".',
    'What is the meaning of "{word}"?',
    'Explain the word "{word}" in one sentence.',
    'Tell me what "{word}" means.',
    'How would a dictionary explain "{word}"?',
)
EXAMPLE = (
    'Give me an example sentence with the word "{word}".',
    'Use "{word}" in a sentence.',
    'Write a sentence that contains "{word}".',
    'How is the word "{word}" used? Give an example.',
    'Show me a sentence with "{word}".',
    'Make a sentence with "{word}".',
)

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
# tasks whose questions come from `Ask`; those of TASKS may come from one as well
ASKED = (
    "count", "order", "compare", "presence", "digit", "digits", "prompts", "mention",
    "unanswerable", "details", "guard", "chat", "lesson",
)  # fmt: skip
TEXT_ONLY = frozenset({"chat", "lesson"})  # tasks without audio
VOICES = frozenset({*PEOPLE, "choir"})  # sound labels that a voice may be in
COMPOSED = frozenset({"count", "order", "compare"})  # tasks of clips made of other clips


def one_of(options: Sequence[str]) -> str:
    """`a, b or c`."""
    *others, last = options
    return f"{', '.join(others)} or {last}" if others else last


def capitalized(text: str) -> str:
    """With a capital where it begins and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


@dataclass(frozen=True)
class LabelTask:
    """A task that a clip's own labels answer."""

    questions: tuple[str, ...]
    answer: Callable[[Clip, random.Random], str]
    label: Callable[[Clip], str]  # what is balanced and scored
    options: tuple[str, ...] = ()  # what a closed question names
    accept: Callable[[Clip], tuple[str, ...]] = lambda _: ()  # other answers that are right

    def ask(self, clip: Clip, name: str, rng: random.Random) -> Ask:
        """One question about the clip, and its answer."""
        question = rng.choice(self.questions)
        named = rng.sample(self.options, len(self.options)) if "{options}" in question else []
        question = question.format(options=one_of(named)) if named else question
        places = [_place(option, question) for option in self.options]
        answer = self.answer(clip, rng)
        return Ask(
            task=name,
            turns=((question, answer),),
            label=self.label(clip),
            accept=tuple(other for other in self.accept(clip) if other != answer),
            options=_sorted(self.options, places) if min(places, default=-1) >= 0 else (),
        )


def _place(option: str, question: str) -> int:
    found = re.search(rf"\b{option}\b", question)
    return found.start() if found else -1


def _sorted(options: Sequence[str], places: Sequence[int]) -> tuple[str, ...]:
    return tuple(option for _, option in sorted(zip(places, options, strict=True)))


def emotion_word(emotion: str) -> str:
    """The emotion as an answer."""
    return {"disgust": "Disgusted."}.get(emotion, capitalized(emotion))


def _emotions(clip: Clip) -> tuple[str, ...]:
    word = emotion_word(clip.emotion)[:-1].lower()
    also = ("Disgust.",) if clip.emotion == "disgust" else ()
    return (*also, f"The speaker sounds {word}.", f"The speaker is {word}.")


def _sounds(clip: Clip) -> tuple[str, ...]:
    sound = SOUNDS[clip.label]
    return tuple(dict.fromkeys((capitalized(sound.noun), *sound.captions)))


TASKS: Mapping[str, LabelTask] = {
    "transcribe": LabelTask(TRANSCRIBE, lambda clip, _: clip.text, lambda _: ""),
    "emotion": LabelTask(
        EMOTION,
        lambda clip, _: emotion_word(clip.emotion),
        lambda clip: clip.emotion,
        EMOTIONS,
        _emotions,
    ),
    "language": LabelTask(
        LANGUAGE,
        lambda clip, _: f"{clip.language}.",
        lambda clip: clip.language,
        (),
        lambda clip: (f"It is {clip.language}.", f"The language is {clip.language}."),
    ),
    "gender": LabelTask(
        GENDER,
        lambda clip, _: f"A {clip.gender}.",
        lambda clip: clip.gender,
        GENDERS,
        lambda clip: (f"The speaker is a {clip.gender}.", f"It is a {clip.gender}."),
    ),
    "sound": LabelTask(
        SOUND,
        lambda clip, _: SOUNDS[clip.label].answer,
        lambda clip: clip.label,
        (),
        _sounds,
    ),
    "caption": LabelTask(
        CAPTION,
        lambda clip, rng: rng.choice(SOUNDS[clip.label].captions),
        lambda clip: clip.label,
        (),
        _sounds,
    ),
}
