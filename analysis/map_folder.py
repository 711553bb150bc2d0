"""A map that lies ready in a folder: records, coordinates, and the clips that may be passed on.

`records.parquet` is a records file with one row per recording, `coordinates.parquet` has a row for
each of them, `clips/` the sounds; a path in the records is relative to the folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

from mowe.analysis.map.projection import Projection, umap
from mowe.analysis.records import Records, read_records
from mowe.errors import RecordsError
from mowe.files import check_sums, file_sha256, write_sums

RECORDS, COORDINATES, CLIPS = "records.parquet", "coordinates.parquet", "clips"
VIEWS = (("base", 2), ("base", 3), ("fused", 2))  # embeddings and dimensions that lie ready


@dataclass(frozen=True)
class MapFolder:
    """Records with one row per recording, and their projections by embedding and dimensions."""

    records: Records
    projections: dict[tuple[str, int], Projection]
    folder: Path

    def sound(self, path: str) -> Path | None:
        """The clip of a record; None where its licence does not let it be passed on."""
        found = (self.folder / path).resolve()
        inside = found.is_relative_to((self.folder / CLIPS).resolve())
        return found if inside and found.is_file() else None


def read_map(folder: Path) -> MapFolder:
    """Read a folder that `write_coordinates` finished.

    Raises:
        RecordsError: If a file is missing, damaged or too many, or the coordinates are of other
            records.
    """
    check_sums(folder, RecordsError)
    records = read_records(folder / RECORDS)
    path = folder / COORDINATES
    try:
        table = parquet.read_table(path)
        about = json.loads((table.schema.metadata or {}).get(b"about", b"{}"))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise RecordsError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    if about.get("records") != file_sha256(folder / RECORDS) or len(table) != len(records):
        raise RecordsError(f"{path.name} was made for other records; run `python -m mowe map`")
    projections = {}
    for of, dims in VIEWS:
        rows = table[_name(of, dims)].to_pylist()
        coordinates = np.array(rows, dtype=np.float32)
        projections[of, dims] = Projection("umap", coordinates, about["settings"])
    return MapFolder(records, projections, folder)


def write_coordinates(folder: Path, seed: int = 0) -> MapFolder:
    """Lay out the records of a folder with UMAP's default settings, and store where points lie.

    Raises:
        RecordsError: If the records cannot be read, or are too few.
    """
    records = read_records(folder / RECORDS)
    found = {(of, dims): umap(records.embeddings(of), dims, seed=seed) for of, dims in VIEWS}
    about = {
        "records": file_sha256(folder / RECORDS),
        "settings": found[VIEWS[0]].settings,
    }
    columns = {
        _name(of, dims): pyarrow.array(
            one.coordinates.tolist(), type=pyarrow.list_(pyarrow.float32())
        )
        for (of, dims), one in found.items()
    }
    table = pyarrow.table(columns).replace_schema_metadata({"about": json.dumps(about)})
    partial = folder / f".{COORDINATES}.partial"
    parquet.write_table(table, partial, compression="zstd")
    partial.replace(folder / COORDINATES)
    write_sums(folder)
    return MapFolder(records, found, folder)


def _name(of: str, dims: int) -> str:
    return f"{of}_{dims}d"
