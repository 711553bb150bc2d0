"""Every source of the corpus, one file each; adding a source is one file and one line here."""

from mowe.training.corpus.clips import Source
from mowe.training.corpus.sources import (
    amazon_queen,
    asterisk,
    drascula,
    esc10,
    game_effects,
    instruments,
    spoken_digits,
    synthetic_speech,
)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        amazon_queen.SOURCE,
        asterisk.SOURCE,
        drascula.SOURCE,
        spoken_digits.SOURCE,
        esc10.SOURCE,
        game_effects.SOURCE,
        instruments.SOURCE,
        synthetic_speech.SOURCE,
    )
}
