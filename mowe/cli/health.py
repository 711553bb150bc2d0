"""`health`: checks of a records file, a training log and a file of worth as text."""

from mowe.analysis.health.checks import Check, Thresholds, health_checks
from mowe.analysis.health.training_log import read_log
from mowe.analysis.records import read_records
from mowe.analysis.worth.measure import read_worth
from mowe.cli.desk import Desk, given
from mowe.errors import ConfigError


def run(desk: Desk) -> int:
    """Print a line per check; 1 if one fails, else 0.

    Raises:
        ConfigError: If no file is named, or a threshold is out of range.
        RecordsError: If the records or the file of worth cannot be used.
        LogError: If the log cannot be used.
    """
    options = desk.options
    if options.records is None and options.log is None and options.worth is None:
        raise ConfigError("name --records, --log or --worth, found none of them")
    limits = Thresholds(**given({name: getattr(options, name) for name in options.thresholds}))
    records = read_records(options.records) if options.records else None
    log = read_log(options.log) if options.log else None
    worth = read_worth(options.worth) if options.worth else None
    checks = health_checks(records, log, limits, worth)
    print("\n".join(_line(check) for check in checks), file=desk.out)
    return int(any(check.passed is False for check in checks))


def _line(check: Check) -> str:
    return f"{check.verdict.upper():<11}  {check.name}: {check.sentence}"
