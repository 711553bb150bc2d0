"""`map`: build the map of recordings that the page shows."""

from mowe.analysis.map.build import build_map
from mowe.analysis.map_folder import CLIPS
from mowe.cli.desk import Desk
from mowe.cli.text import tell
from mowe.errors import ConfigError


def run(desk: Desk) -> None:
    """Build the map, and say what it became.

    Raises:
        ConfigError: If the share is out of range, or the corpus has none of the sources.
        MoweError: As `build_map` and `mowe.load` do.
    """
    options = desk.options
    if not 0 < options.fraction <= 1:
        raise ConfigError(f"--fraction is above 0 and at most 1, found {options.fraction}")
    made = build_map(
        desk.assistant,
        options.manifest,
        options.out,
        seed=options.seed,
        fraction=options.fraction,
    )
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    clips = sum(1 for _ in (options.out / CLIPS).rglob("*.opus"))
    tell(f"{len(made.records)} recordings, {clips} with their sound, {size / 1e6:.1f} MB")
