"""How lessons ask and answer, beside the wordings that the corpus has already."""

from collections.abc import Mapping, Sequence

from corpus import wording
from corpus.sounds import SOUNDS


def listed(text: str) -> tuple[str, ...]:
    """The parts of a text between bars."""
    return tuple(part for one in text.split("|") if (part := " ".join(one.split())))


# names that no detector of ours tells, so that lines are read and not recalled
FURTHER = listed(
    """
    a frog croaking | a vacuum cleaner | a mosquito buzzing | a cuckoo calling | a fan | fireworks |
    an owl hooting | a washing machine | a lawn mower | a bicycle bell | a printer | paper tearing |
    a kettle whistling | popcorn popping | a zipper | a ball bouncing | a skateboard | a tractor |
    a tram | a motorcycle | a lion roaring | a monkey | a donkey | a goose honking | a parrot |
    a duck quacking | a turkey | a bee buzzing | a cricket chirping | a whale singing | a ukulele |
    a seal barking | a hair dryer | a typewriter | an orchestra | a gong | a theremin | a lute |
    a mandolin | a synthesizer
    """
)
NAMES = (*(one.noun for one in SOUNDS.values()), *FURTHER)
LANGUAGES = listed(
    """
    English | French | German | Spanish | Italian | Russian | Dutch | Portuguese | Polish | Greek |
    Danish | Swedish | Chinese | Japanese | Arabic | Turkish | Finnish | Czech
    """
)
EMOTIONS = listed("calm | happy | sad | angry | afraid | surprised | disgusted")
KINDS: Mapping[str, str] = {  # of an unknown sound: what it perhaps is
    "animal": "an animal", "vehicle": "a vehicle", "tool": "a tool", "water": "water",
    "music": "music", "alarm": "an alarm", "human": "a person", "nature": "the weather",
    "weapon": "a weapon", "object": "an object",
}  # fmt: skip

WRITE_DOWN = wording.TRANSCRIBE + listed(
    """
    transcribe | Transcribe this please | What does he say? | What does she say? | what did they say
    | Type this out for me. | Can you write down what I said? | What are the words? | What was said?
    | Repeat what was said. | Write the sentence that you hear. | Please transcribe. |
    Give me a transcript. | Spell out the speech. | Which words do you hear?
    """
)
LEADS = ("", "", "", "Listen: ", "Tell me: ", "Quick question: ", "I missed it. ")
DESCRIBE = wording.CAPTION + listed("What is going on? | What can you tell me about this?")
FEELING = tuple(one for one in wording.EMOTION if "{" not in one)
OF_A_VOICE = (*WRITE_DOWN, *wording.LANGUAGE, *wording.GENDER, *FEELING)
OF_ANY = (*WRITE_DOWN, *wording.SOUND, *wording.CAPTION, *wording.LANGUAGE, *wording.GENDER)
WHAT = wording.SOUND + listed("What is this? | What's that noise? | What is it?")
WHICH_ANIMAL = wording.ANIMAL + listed("What animal is this? | Which animal do you hear?")
WHICH_INSTRUMENT = wording.INSTRUMENT + listed(
    "What instrument is this? | Which instrument is playing?"
)
NO_WAY = wording.PERSONAL + listed(
    """
    Who is this? | Which city is it? | Is it raining outside? | What colour is it? |
    Which brand is it? | Who made this recording? | Is he tall? | What is the weather like?
    """
)
NOTHING = listed("I hear nothing in this recording. | Nothing can be heard in this recording.")
NO_RECORDING = listed(
    """
    There is no recording. Record a sound or upload one, then ask. |
    I have no recording yet. Record or upload one, and I will listen.
    """
)
ABLE = listed("What can you do? | Who are you? | How can you help me? | What are you? | Help")
ABILITIES = (
    "I listen to recordings and answer questions about them: I write down what is said, name "
    "sounds and instruments, tell the language and how many people speak. Record a sound or "
    "upload one, then ask."
)
NOT_SURE, NOT_BY_VOICE = "I am not sure.", "I cannot tell from the voice."

# --- stories: who, what, where, when, why ---------------------------------------------------------

WHO = listed(
    """
    Anna | Peter | Maria | Tom | the doctor | my uncle | the captain | the old king | Mister Brown |
    my sister | the teacher | our neighbour | Lucy | the pilot | the mayor | a sailor | grandfather
    | the princess | the butcher | Rosa | Professor Klein | the thief | our guide | the gardener
    """
)
THING = listed(
    """
    a red umbrella | the golden key | a map | two tickets | a bottle of milk | the old book | a rope
    | a wooden box | the letter | a silver ring | fresh bread | a lamp | the wrong hat | a hammer |
    a bag of apples | a broken watch | the blue vase | the contract | a bucket | some candles
    """
)
WHERE = listed(
    """
    in the kitchen | under the bridge | at the station | behind the church | in Paris | on the roof
    | at the harbour | in the cellar | near the old mill | in the garden | on the third floor |
    in Egypt | at the hospital | in the forest | at school | in the attic | on the island
    """
)
WHEN = listed(
    """
    yesterday | this morning | on Monday | at midnight | last summer | after dinner | at noon |
    two years ago | on Friday evening | last week | before sunrise | at half past seven
    """
)
WHY = listed(
    """
    it was raining | the door was locked | nobody believed it | the train was late | it was cold |
    the dog was ill | it was too heavy | the shop was closed | there was no money left
    """
)
COUNT = listed("two | three | four | five | seven | ten | twelve | twenty | a hundred")
MANY = listed("horses | coins | bottles | children | soldiers | letters | eggs | boxes | islands")
COLOUR = listed("red | green | blue | yellow | black | white | brown | grey | purple")
OBJECT = listed("car | door | coat | boat | house | bird | bicycle | hat | carpet | flag")
MATERIAL = listed("wood | gold | glass | stone | iron | paper | clay | silk | oak | leather")
DID = (
    ("found", "find"), ("bought", "buy"), ("lost", "lose"), ("hid", "hide"), ("sold", "sell"),
    ("saw", "see"), ("left", "leave"), ("stole", "steal"), ("forgot", "forget"),
    ("dropped", "drop"), ("repaired", "repair"),
)  # fmt: skip

# --- other languages: what sounds, which language, what is said ---------------------------------

FOREIGN: Sequence[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = (
    (
        ("¿Qué sonido es este?", "¿Qué se oye?"),
        ("¿Qué idioma es?", "¿En qué idioma hablan?"),
        ("¿Qué dice?", "Transcribe esto, por favor."),
    ),
    (
        ("Quel est ce son ?", "Qu'est-ce qu'on entend ?"),
        ("Quelle langue est parlée ?", "C'est quelle langue ?"),
        ("Que dit-il ?", "Transcris ceci."),
    ),
    (
        ("Was ist das für ein Geräusch?", "Was hörst du?"),
        ("Welche Sprache ist das?", "Welche Sprache wird gesprochen?"),
        ("Was wird gesagt?", "Schreib auf, was gesagt wird."),
    ),
    (
        ("Che suono è?", "Che cosa si sente?"),
        ("Che lingua è?", "In che lingua parlano?"),
        ("Che cosa dice?", "Trascrivi, per favore."),
    ),
)
