from lightly_marlin.training.metrics_csv import MetricsCsv


def test_metrics_csv__appends_and_truncates(tmp_path):
    table = MetricsCsv(tmp_path / "metrics.csv", ["step", "loss"])
    assert table.rows() == []
    table.truncate(0)
    for step in (10, 20, 30):
        table.append({"step": step, "loss": step / 2})
    table.truncate(20)
    table.append({"step": 30, "loss": 1.0})
    assert table.path.read_text().splitlines() == [
        "step,loss",
        "10,5.0",
        "20,10.0",
        "30,1.0",
    ]


def test_metrics_csv__drops_half_a_row(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n10,5.0\n20")
    table = MetricsCsv(path, ["step", "loss"])
    table.truncate(100)
    assert path.read_text().splitlines() == ["step,loss", "10,5.0"]
