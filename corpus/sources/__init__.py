"""Every source of the corpus, one file each; adding a source is one file and two lines here."""

from collections.abc import Collection, Mapping

from corpus.clips import Source
from corpus.sources import (
    amazon_queen,
    asterisk,
    definitions,
    drascula,
    esc10,
    fish_fillets,
    game_effects,
    guards,
    instruments,
    kde_words,
    lessons,
    midi,
    more_effects,
    more_instruments,
    named_sounds,
    people,
    ravdess,
    spoken_digits,
    steel_sky,
    synthetic_speech,
    tux_paint,
    world_sounds,
)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        amazon_queen.SOURCE,
        steel_sky.SOURCE,
        asterisk.SOURCE,
        drascula.SOURCE,
        spoken_digits.SOURCE,
        ravdess.SOURCE,
        tux_paint.SOURCE,
        fish_fillets.SOURCE,
        kde_words.SOURCE,
        esc10.SOURCE,
        game_effects.SOURCE,
        instruments.SOURCE,
        more_effects.SOURCE,
        named_sounds.SOURCE,
        midi.SOURCE,
        synthetic_speech.SOURCE,
        definitions.SOURCE,
        people.SOURCE,
        world_sounds.SOURCE,
        more_instruments.SOURCE,
        guards.SOURCE,
        lessons.SOURCE,
    )
}

_OF_SPEECH = ("presence", "unanswerable")
_OF_WORDS = ("transcribe", "language", "mention", *_OF_SPEECH)
_OF_SOUNDS = ("sound", "caption", "presence", "order", "count", "compare", "unanswerable")
# source -> tasks that its clips serve, themselves or as a part of others
SERVES: Mapping[str, Collection[str]] = {
    "amazon-queen": (*_OF_WORDS, "gender"),
    "steel-sky": _OF_WORDS,
    "asterisk": (*_OF_WORDS, "gender", "prompts"),
    "drascula": _OF_WORDS,
    "spoken-digits": ("transcribe", "gender", "digit", "digits", *_OF_SPEECH),
    "ravdess": ("emotion", "gender", "language", "mention", *_OF_SPEECH),
    "tux-paint": ("language", *_OF_SPEECH),
    "fish-fillets": ("language", "gender", *_OF_SPEECH),
    "kde-words": ("language", *_OF_SPEECH),
    "esc10": _OF_SOUNDS,
    "game-effects": _OF_SOUNDS,
    "instruments": _OF_SOUNDS,
    "more-effects": _OF_SOUNDS,
    "named-sounds": _OF_SOUNDS,
    "midi": _OF_SOUNDS,
    "synthetic-speech": (*_OF_WORDS, "gender"),
    "definitions": ("chat",),
    "people": (*_OF_WORDS, "gender", "details", "sound", "caption"),
    "world-sounds": _OF_SOUNDS,
    "more-instruments": _OF_SOUNDS,
    "guards": ("guard", "unanswerable"),
    "lessons": ("lesson",),
}


def serves(name: str, tasks: Collection[str]) -> bool:
    """Whether a source has clips for one of the tasks; no tasks mean all."""
    return not tasks or bool({*tasks} & {*SERVES[name]})
