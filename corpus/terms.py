"""What a source's licence allows, and what the pretrained components were trained on.

One verdict a source: whether clips may be passed on with this project, and whether the default
checkpoint may be trained on them. It is about terms alone; what is held out says splits.py.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from corpus.card import table
from corpus.download import CorpusError
from corpus.sources import SERVES, SOURCES
from mowe.files import between_marks

MARKS = ("<!-- verdicts -->", "<!-- end of verdicts -->")


class Verdict(NamedTuple):
    """Of a source's terms."""

    ships: bool  # whether clips may be passed on with this project
    trains: bool  # whether the default checkpoint may be trained on them
    why: str

    @property
    def word(self) -> str:
        """In a word or three."""
        words = [word for word, holds in (("ships", self.ships), ("trains", self.trains)) if holds]
        return " and ".join(words) or "neither"


_GAME = "free to pass on and to change; notices stay, changed copies say so, no fee for the game"
_GPL = "to pass clips on would ask for the licence and the sources of each beside them"
_MIXED = f"licences by file, the GPL among them: {_GPL}"
VERDICTS: Mapping[str, Verdict] = {
    "amazon-queen": Verdict(True, True, _GAME),
    "steel-sky": Verdict(True, True, f"{_GAME}; no clip of it is shown"),
    "asterisk": Verdict(True, True, "CC BY and CC BY-SA: credit, and clips stay under the same"),
    "drascula": Verdict(True, True, _GAME),
    "spoken-digits": Verdict(True, True, "CC BY-SA 4.0: credit, and clips stay under the same"),
    "ravdess": Verdict(
        False, False, "non-commercial: only the optional emotion part may come from it"
    ),
    "people": Verdict(
        True,
        True,
        "Apache-2.0, CC BY 4.0, MIT; a model made from donateacry (ODbL) says that it was; "
        "clips of children are not played on a page",
    ),
    "tux-paint": Verdict(False, True, f"GPL-2: {_GPL}"),
    "fish-fillets": Verdict(False, True, f"GPL-2: {_GPL}"),
    "kde-words": Verdict(False, True, f"GPL-2+: {_GPL}"),
    "esc10": Verdict(
        True, True, "CC BY 3.0, with every author; clips under Sampling+ are not passed on whole"
    ),
    "game-effects": Verdict(False, True, _MIXED),
    "more-effects": Verdict(False, True, _MIXED),
    "named-sounds": Verdict(False, True, _MIXED),
    "world-sounds": Verdict(False, True, _MIXED),
    "instruments": Verdict(False, True, _MIXED),
    "midi": Verdict(False, True, f"TimGM6mb is under the GPL-2: {_GPL}; FluidR3Mono is free (MIT)"),
    "more-instruments": Verdict(
        False, True, "as midi; Freepats' exception frees what is played with it, not its samples"
    ),
    "guards": Verdict(False, True, f"computed ones are CC0; music of two games is GPL-3+: {_GPL}"),
    "synthetic-speech": Verdict(
        True, True, "permissive: WordNet, flite, hibari; espeak-ng's output"
    ),
    "definitions": Verdict(True, True, "WordNet 3.0 licence: permissive"),
    "lessons": Verdict(True, True, "text made here, with sentences of WordNet: permissive"),
}
# looked at and not taken: package, and why
REFUSED: Mapping[str, str] = {
    "chime 0.8.0": "its themes are sounds of other firms' games and systems",
    "kaching 0.4.2": "sounds of television shows and games, without terms of their own",
    "suserror 0.2.1": "clips of unknown origin",
    "arcade 3.3.3": "free (CC0), but sounds of no source a person could name",
    "warzone2100-data, supertux-data": "labelled by folder or not at all; 140 MB and more each",
    "klettres-data": "volunteers of the held-out kde-words may have read it too",
}


class Origin(NamedTuple):
    """What a pretrained component was trained on, as far as it is known."""

    licence: str  # of its weights
    data: str
    why: str  # what follows


COMPONENTS: Mapping[str, Origin] = {
    "whisper-base": Origin(
        "MIT",
        "680,000 h of audio from the web with transcripts; not published",
        "as its authors give it",
    ),
    "whisper-base-decoder": Origin("MIT", "the same", "as its authors give it"),
    "whisper-tiny-en": Origin("MIT", "the English part of the same", "as its authors give it"),
    "ge2e": Origin(
        "Apache-2.0",
        "VoxCeleb 1 and 2 (from public videos) and LibriSpeech other, by its authors' word",
        "its train-other-500 shares no reader with `people`'s train-clean-100",
    ),
    "silero-vad": Origin(
        "MIT", "speech in many languages; not published", "as its authors give it"
    ),
    "aisfx": Origin(
        "CC BY 4.0", "commercial libraries of sound effects; not published", "credit is given"
    ),
    "musicnn-mtt": Origin(
        "ISC",
        "MagnaTagATune, whose music is licensed for non-commercial use",
        "its authors give the weights freely; whoever reads the music's terms as binding for "
        "weights leaves this encoder out of the pool",
    ),
    "fcpe": Origin(
        "MIT", "speech and singing that its package does not name", "as its authors give it"
    ),
    "smollm2-135m-instruct": Origin(
        "Apache-2.0",
        "FineWeb-Edu, DCLM, The Stack, then SmolTalk and UltraFeedback",
        "as its authors give it",
    ),
}


def taken_from(source: str, tasks: Sequence[str]) -> list[str]:
    """The tasks of a recipe that a source has clips for."""
    return [task for task in tasks if task in SERVES[source]]


def verdicts() -> str:
    """The verdicts as Markdown tables: sources, refused packages, components."""
    sources = [
        (f"`{name}`", SOURCES[name].licence, VERDICTS[name].word, VERDICTS[name].why)
        for name in SOURCES
    ]
    parts = [table(sources, ("source", "licence", "verdict", "why")), ""]
    parts += [table(REFUSED.items(), ("not taken", "why")), ""]
    parts += [
        table(
            [(f"`{name}`", *COMPONENTS[name]) for name in COMPONENTS],
            ("component", "licence of the weights", "trained on", "what follows"),
        )
    ]
    return "\n".join(parts)


def page(text: str) -> str:
    """A page with the tables between its two marks made anew.

    Raises:
        CorpusError: If the page lacks the marks.
    """
    return between_marks(text, verdicts(), MARKS, CorpusError)
