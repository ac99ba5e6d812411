"""The table of a result: with rich where it is installed, else as plain text."""

from __future__ import annotations

from typing import Any

__all__ = ["make_rows", "print_report", "print_table", "print_tiles"]

_COLUMNS = (
    *("operation", "batch", "way", "µs", "quartiles"),
    *("copy µs", "of copy", "peak MiB", "×"),
)


def make_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Returns the cells of the table.

    Args:
        result: What `run_suite` returned.

    Returns:
        A row per operation, batch size and way; the last cell says how many times as
        fast ours is. The copy moves as many bytes as the operation must.
    """
    ours = {
        (row["operation"], row["batch_size"]): row["median_us"]
        for row in result["operations"]
        if row["way"] == "ours"
    }
    rows: list[tuple[str, ...]] = []
    for row in result["operations"]:
        median = row["median_us"]
        peak = f"{row['peak_mib']:.0f}" if "peak_mib" in row else "-"
        rows.append(
            (
                row["operation"],
                str(row["batch_size"]),
                row["way"],
                f"{median:.1f}",
                f"{row['quartile_1_us']:.1f} - {row['quartile_3_us']:.1f}",
                f"{row['copy_us']:.1f}",
                f"{100 * row['share_of_copy']:.0f} %",
                peak,
                f"{median / ours[row['operation'], row['batch_size']]:.2f}",
            )
        )
    return rows


def print_report(result: dict[str, Any]) -> None:
    """Prints device, bandwidth, table, host times and the captured step."""
    title = (
        f"{result['device']}: copy {result['copy_gb_per_s']:.0f} GB/s, "
        f"{result['dtype']}, median of {result['repeats']}"
    )
    if result["device"] == "cpu":
        title += "; tiny sizes on a CPU, no kernel ran: a test of this program"
    print_table(title, _COLUMNS, make_rows(result))
    host: list[tuple[str, ...]] = [
        (name, way, f"{value:.0f}")
        for name, ways in result["host_us"].items()
        for way, value in ways.items()
    ]
    print_table("Host, one clip", ("operation", "way", "µs per call"), host)
    if "graph" in result:
        graph = result["graph"]
        print(
            f"A step of all operations: {graph['eager_us']:.0f} µs eagerly, "
            f"{graph['graph_us']:.0f} µs as a CUDA graph"
        )


def print_tiles(result: dict[str, Any]) -> None:
    """Prints a row for every operation and size of tiles, the fastest one marked.

    Args:
        result: What `tune_tiles` returned.
    """
    fastest: dict[tuple[str, int], float] = {}
    for row in result["operations"]:
        key = (row["operation"], row["batch_size"])
        fastest[key] = min(row["median_us"], fastest.get(key, row["median_us"]))
    cells: list[tuple[str, ...]] = [
        (
            row["operation"],
            str(row["batch_size"]),
            row["tiles"],
            f"{row['median_us']:.1f}",
            f"{100 * row['share_of_copy']:.0f} %",
            "*"
            if row["median_us"] == fastest[row["operation"], row["batch_size"]]
            else "",
        )
        for row in result["operations"]
    ]
    title = f"{result['device']}: sizes of tiles, median of {result['repeats']}"
    columns = ("operation", "batch", "tiles", "µs", "of copy", "fastest")
    print_table(title, columns, cells)


def print_table(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> None:
    """Prints a table, with rich where it is installed.

    Args:
        title: What stands above it.
        columns: Names of the columns.
        rows: Cells of each row.
    """
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(title, columns, rows)
        return
    table = Table(title=title)
    for name in columns:
        left = name in ("operation", "way")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(*row, end_section=following is None or following[0] != row[0])
    console = Console(highlight=False)
    if not console.is_terminal:
        # A log is wider than what rich takes for a terminal.
        console.width = 160
    console.print(table)


def _print_plain(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> None:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    print(title)
    for row in [columns, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
