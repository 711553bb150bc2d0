"""`pool add`: is an encoder of one's own worth a place in the pool?"""

from pathlib import Path

from mowe.cli.desk import Desk, given
from mowe.cli.experiments import FOLDER
from mowe.cli.text import tell
from mowe.experiments.adding import add_encoder, encoder_of
from mowe.experiments.pages import comparisons_table
from mowe.experiments.runs import Place
from mowe.presets import preset


def run(desk: Desk) -> None:
    """Measure the encoder, print its worth, write the mixture that has it.

    Raises:
        MoweError: If the encoder, the preset or the data cannot be used.
    """
    options = desk.options
    encoder = encoder_of(options.source, options.family, options.name or "")
    place = Place(manifest=options.manifest, folder=options.folder or FOLDER)
    typed = given({"seeds": options.seeds, "jobs": options.jobs})
    out: Path = options.out
    found = add_encoder(encoder, preset(options.preset), place, out, **typed)
    print("\n".join(comparisons_table(found)), file=desk.out)
    tell(f"{found['claim']}: {found['verdict']}. Train it with `preset`: {out / 'mixture.json'}")
