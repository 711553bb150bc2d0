"""`python -m analysis health`: checks of a records file and a training log as text."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from mowe.analysis.health.checks import Check, Thresholds, health_checks
from mowe.analysis.health.training_log import read_log
from mowe.analysis.records import read_records
from mowe.errors import ConfigError

_HELP = {
    "min_effective": "effective number of encoders that must share the choices",
    "max_share": "largest share of the choices that one encoder may have",
    "spike_scatters": "median absolute deviations above the running median that make a spike",
    "spike_window": "logged losses of the running median",
    "spikes_allowed": "spikes that are forgiven",
    "max_growth": "growth of peak memory over the second half of a stretch",
    "most_encoders": "distinct encoders that may run for one window",
}


def add_health_command(commands: Any) -> None:
    """Add `health` to the subcommands of a parser."""
    health = commands.add_parser("health", help="signs of failure in records and a training log")
    health.add_argument(
        "--records", type=Path, metavar="PARQUET", help="what `python -m mowe route` wrote"
    )
    health.add_argument("--log", type=Path, metavar="JSONL", help="metrics.jsonl of a run")
    for field in fields(Thresholds):
        if field.name in _HELP:
            health.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                default=field.default,
                metavar="NUMBER",
                help=f"{_HELP[field.name]} (%(default)s)",
            )


def print_health(given: argparse.Namespace) -> int:
    """Print a line per check; 1 if one fails, else 0.

    Raises:
        ConfigError: If neither file is named, or a threshold is out of range.
        RecordsError: If the records cannot be used.
        LogError: If the log cannot be used.
    """
    if given.records is None and given.log is None:
        raise ConfigError("name --records, --log or both, found neither")
    limits = Thresholds(**{name: getattr(given, name) for name in _HELP})
    records = read_records(given.records) if given.records else None
    run = read_log(given.log) if given.log else None
    checks = health_checks(records, run, limits)
    print("\n".join(_line(check) for check in checks))
    return int(any(check.passed is False for check in checks))


def _line(check: Check) -> str:
    return f"{check.verdict.upper():<11}  {check.name}: {check.sentence}"
