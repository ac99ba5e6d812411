"""The index in two formats: mapped where it may be, Parquet where they differ."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightly_marlin.store.format import index_schema
from lightly_marlin.store.index_file import index_key, read_index, write_index


def make_table(num_rows, start=0):
    columns = {}
    for field in index_schema():
        numbers = range(start, start + num_rows)
        text = pa.types.is_string(field.type)
        values = [f"{field.name}{k}" if text else k for k in numbers]
        columns[field.name] = pa.array(values).cast(field.type)
    return pa.table(columns, schema=index_schema())


@pytest.fixture
def folder(tmp_path):
    write_index(make_table(10), tmp_path)
    return tmp_path


def test_it_is_mapped(folder):
    before = pa.total_allocated_bytes()
    table = read_index(folder)
    assert pa.total_allocated_bytes() == before
    assert table.equals(make_table(10))


@pytest.mark.parametrize("num_rows", [0, 1, 200_000])
def test_sizes(num_rows, tmp_path):
    write_index(make_table(num_rows), tmp_path)
    assert read_index(tmp_path).equals(make_table(num_rows))


def test_without_the_copy_parquet_is_read(folder):
    key = index_key(read_index(folder))
    (folder / "index.arrow").unlink()
    table = read_index(folder)
    assert table.equals(make_table(10))
    assert index_key(table) == key


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"\0" * 4000])
def test_a_damaged_copy_does_not_count(content, folder):
    (folder / "index.arrow").write_bytes(content)
    assert read_index(folder).equals(make_table(10))


@pytest.mark.parametrize("other", [make_table(9), make_table(10, start=1)])
def test_a_parquet_file_that_was_rewritten_counts(other, folder):
    """Even with the metadata of before."""
    metadata = pq.read_schema(folder / "index.parquet").metadata
    key = index_key(read_index(folder))
    pq.write_table(other.replace_schema_metadata(metadata), folder / "index.parquet")
    table = read_index(folder)
    assert table.equals(other)
    assert index_key(table) != key


def test_columns_of_earlier_releases_are_filled_in(folder):
    later = ["num_samples", "shard", "offset", "video_bytes"]
    metadata = {**index_schema().metadata, b"lightly_marlin.face_store_version": b"2"}
    old = make_table(10).drop_columns(later).replace_schema_metadata(metadata)
    pq.write_table(old, folder / "index.parquet")
    table = read_index(folder)
    assert table.schema.names == index_schema().names
    assert table.column("offset").to_pylist() == [-1] * 10
    assert table.column("shard").type == pa.int32()
    assert table.column("num_samples").to_pylist() == [0] * 10
