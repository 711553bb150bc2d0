"""`routing-diff`: which recordings another checkpoint sends elsewhere, as a test of routing."""

import tempfile
from argparse import Namespace
from pathlib import Path

from mowe.analysis.records import Records, read_records
from mowe.analysis.routing.moves import Moves, routing_moves
from mowe.cli.desk import Desk
from mowe.cli.recorded import route_to_records
from mowe.cli.text import format_table, printable
from mowe.data.manifest import read_manifest
from mowe.data.records import LabelledClip
from mowe.errors import ConfigError, RecordsError

# what routing is asked for when nothing is typed
_PLAIN = {
    "force_encoder": [], "mask_encoder": [], "dense": False, "no_weak": False, "fused": False,
    "max_seconds": None, "max_bytes": None,
}  # fmt: skip


def run(desk: Desk) -> int:
    """Print what moved; 1 if more than `--allowed` did, else 0.

    Raises:
        ConfigError: If `--allowed` is no share, or a manifest is missing or of no use.
        RecordsError: If records cannot be used, or there is nothing to compare.
        MoweError: If a checkpoint or the manifest cannot be used.
    """
    options = desk.options
    names = (options.old, options.new)
    if not 0 <= options.allowed <= 1:
        raise ConfigError(f"--allowed must be a share from 0 to 1, found {options.allowed}")
    routed = [name for name in names if not _is_records(name)]
    if routed and options.manifest is None:
        raise ConfigError(f"routing with {routed[0]} needs --manifest, found none")
    if options.manifest is not None and not routed:
        raise ConfigError("two records files hold their recordings; leave --manifest out")
    sources = _sources(options.manifest) if routed else []
    old, new = (_records(desk, name, sources) for name in names)
    moves = routing_moves(old, new)
    print(_report(moves, options.allowed), file=desk.out)
    return int(moves.share > options.allowed)


def _is_records(name: str) -> bool:
    return name.lower().endswith(".parquet")


def _sources(manifest: Path) -> list[LabelledClip]:
    lines = [one for one in read_manifest(manifest) if one.audio is not None]
    if not lines:
        raise ConfigError(f"{manifest.name} holds no recording to route")
    return list(map(LabelledClip.of_example, lines))


def _records(desk: Desk, name: str, sources: list[LabelledClip]) -> Records:
    """A records file, or what a checkpoint makes of the recordings."""
    if _is_records(name):
        return read_records(name)
    options = Namespace(**{**_PLAIN, **vars(desk.options), "model": name})
    routing = Desk(options, desk.out, desk.factory)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "routing.parquet")
        route_to_records(routing, path, sources)
        desk.failures = list(dict.fromkeys([*desk.failures, *routing.failures]))
        if not path.exists():
            raise RecordsError("no recording of the manifest could be used, so none is compared")
        return read_records(path)


def _report(moves: Moves, allowed: float) -> str:
    moved = moves.moved
    first = (
        f"{len(moved)} of {len(moves.windows)} windows moved ({moves.share:.1%}), at most "
        f"{allowed:.1%} allowed."
    )
    if moves.unmatched:
        first += f" {moves.unmatched} windows are in one of the two only and were not compared."
    if not len(moved):
        return first
    counts = [[old, new, str(size)] for old, new, size in moves.counts().to_numpy()]
    windows = [
        [printable(path), f"{start:.2f}", f"{end:.2f}", old, new]
        for path, start, end, old, new in moved.to_numpy()
    ]
    tables = (
        format_table(("from", "to", "windows"), counts),
        format_table(("file", "start", "end", "from", "to"), windows),
    )
    return "\n\n".join([first, *tables])
