"""A visitor's records file, read the same way on every tab."""

from mowe.analysis import Records, read_records
from mowe.errors import RecordsError
from mowe.ui.shared.errors import plain_errors

MAX_ROWS = 200_000


def load_records(path: str) -> Records:
    """Read a records file that is not too long for a page.

    Raises:
        gr.Error: If it cannot be used.
    """
    with plain_errors():
        records = read_records(path)
        if len(records) > MAX_ROWS:
            raise RecordsError(
                f"the file has {len(records)} rows, at most {MAX_ROWS} are shown; split it"
            )
    return records


def load_routed(path: str) -> Records:
    """The same, of a mixture that has a router.

    Raises:
        gr.Error: If it cannot be used.
    """
    records = load_records(path)
    with plain_errors():
        if not records.encoders:
            raise RecordsError(f"{records.preset} has no router, so there is nothing to show")
    return records
