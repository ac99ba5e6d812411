"""All features of a folder as one table, with their places in the videos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.journal import VideoEntry, index_schema
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.files import atomic_write

__all__ = ["TABLE_NAME", "write_joined_table"]

TABLE_NAME = "features.parquet"


def write_joined_table(folder: Path, entries: Iterable[VideoEntry]) -> None:
    """Writes `features.parquet`: the columns of the index and `features`.

    Args:
        folder: A folder of features with one vector per row.
        entries: The videos to take, in this order.
    """
    pa = require("pyarrow", "Writing a table of features")
    parquet = require("pyarrow.parquet", "Writing a table of features")
    column = pa.field("features", pa.list_(pa.float32()))
    schema = index_schema().append(column)
    with (
        atomic_write(folder / TABLE_NAME) as temporary,
        parquet.ParquetWriter(temporary, schema) as writer,
    ):
        for entry in entries:
            if not entry.rows or entry.file is None:
                continue
            # Video by video, so that memory does not grow with their number.
            rows = [
                {"source": entry.source, "file": entry.file, **asdict(row)}
                for row in entry.rows
            ]
            table = pa.Table.from_pylist(rows, schema=index_schema())
            features = _read(folder / entry.file)
            vectors = pa.array(list(features), type=column.type)
            writer.write_table(table.append_column(column, vectors))


def _read(path: Path) -> npt.NDArray[Any]:
    if path.suffix == ".npy":
        array: npt.NDArray[Any] = np.load(path)
        return array
    from safetensors.numpy import load_file

    return load_file(path)["features"]
