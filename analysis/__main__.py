"""`python -m analysis report records.parquet --out report.html`."""

import argparse
import sys
from pathlib import Path

from mowe.analysis.health_command import add_health_command, print_health
from mowe.analysis.map.build import add_map_command, run_map
from mowe.analysis.records import read_records
from mowe.analysis.report import write_report
from mowe.errors import ConfigError, MoweError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, 1 where a health check fails, or 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser("report", help="a self-contained page about a records file")
    page.add_argument("records", type=Path, help="what `python -m mowe route` wrote")
    page.add_argument("--out", type=Path, required=True, metavar="PAGE", help="ends in .html")
    add_health_command(commands)
    add_map_command(commands)
    given = parser.parse_args(arguments)
    try:
        if given.command == "health":
            return print_health(given)
        if given.command == "map":
            print(run_map(given), file=sys.stderr)
            return 0
        if given.out.suffix.lower() != ".html":
            raise ConfigError(f"--out ends in .html, found {given.out.name}")
        if not given.out.absolute().parent.is_dir():
            raise ConfigError(f"--out needs a folder that exists, found {given.out.parent}")
        write_report(read_records(given.records), given.records.name, given.out)
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.out.name}: {given.out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
