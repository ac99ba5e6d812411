"""All features of a folder as one table, with their positions in the videos."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.feature_ledger import FeatureRecord, index_schema
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.files import atomic_write

__all__ = ["TABLE_NAME", "write_joined_table"]

TABLE_NAME = "features.parquet"


def write_joined_table(folder: Path, records: Iterable[FeatureRecord]) -> None:
    """Writes `features.parquet`: the columns of the index and `features`.

    Args:
        folder: A folder of features with one vector per row.
        records: The videos to take, in this order.
    """
    pa = require("pyarrow", "Writing a table of features")
    parquet = require("pyarrow.parquet", "Writing a table of features")
    column = pa.field("features", pa.list_(pa.float32()))
    schema = index_schema().append(column)
    with (
        atomic_write(folder / TABLE_NAME) as temporary,
        parquet.ParquetWriter(temporary, schema) as writer,
    ):
        for record in records:
            if not record.rows or record.file is None:
                continue
            # Video by video, so that memory does not grow with their number.
            table = pa.Table.from_pylist(record.index_rows(), schema=index_schema())
            features = _read(folder / record.file)
            vectors = pa.array(list(features.astype(np.float32)), type=column.type)
            writer.write_table(table.append_column(column, vectors))


def _read(path: Path) -> npt.NDArray[Any]:
    if path.suffix == ".npy":
        array: npt.NDArray[Any] = np.load(path)
        return array
    from safetensors.numpy import load_file

    return load_file(path)["features"]
