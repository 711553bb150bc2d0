"""`report`: a self-contained page about a records file."""

from mowe.cli.desk import Desk
from mowe.cli.text import tell
from mowe.errors import ConfigError


def run(desk: Desk) -> None:
    """Write the page.

    Raises:
        ConfigError: If it cannot be written where `--out` says.
        RecordsError: If the records cannot be used.
    """
    records, out = desk.options.records, desk.options.out
    if out.suffix.lower() != ".html":
        raise ConfigError(f"--out ends in .html, found {out.name}")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out needs a folder that exists, found {out.parent}")
    from mowe.analysis.records import read_records  # here: a wrong --out need not wait for pandas
    from mowe.analysis.report import write_report

    write_report(read_records(records), records.name, out)
    tell(f"{out.name}: {out.stat().st_size / 1e6:.1f} MB")
