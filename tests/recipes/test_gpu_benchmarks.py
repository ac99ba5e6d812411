"""Benchmarks of whole training steps, as far as a CPU runs them."""

from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def on_cpu(monkeypatch):
    """Functions of a GPU that do nothing, and one step that is too large."""
    for name in ("synchronize", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    for name in ("memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")


def test_train_step__on_a_gpu_it_writes_after_each_variant(
    on_cpu, monkeypatch, load_benchmark, tmp_path, read_result
):
    module = load_benchmark("train_step")
    counts, written = {}, []

    def make_step(variant, model, batch):
        def step():
            if "large" in variant:
                raise torch.OutOfMemoryError
            counts[variant] = counts.get(variant, 0) + 1
            return torch.tensor(0.5)

        return step

    monkeypatch.setattr(module, "make_step", make_step)
    monkeypatch.setattr(module, "make_batch", lambda size, device: {})
    monkeypatch.setattr(module, "check_same_result", lambda model, batch: 1e-6)
    monkeypatch.setattr(
        module,
        "write_json",
        lambda path, result: written.append(dict(result["results"]["base"])),
    )
    variants = ("reference float32", "ours float32", "ours large")
    arguments = SimpleNamespace(
        batch_size=1,
        repeats=3,
        threads=1,
        models=["base"],
        variants=variants,
        profile=False,
    )
    result = module.measure_on_gpu(arguments, tmp_path / "train_step.json")
    rows = result["results"]["base"]
    assert [tuple(rows) for rows in written] == [
        variants[:1],
        variants[:2],
        variants,
    ]
    assert rows["ours large"] == {"error": "does not fit into memory"}
    assert counts["ours float32"] == module.WARMUP + 2 * 3
    assert rows["ours float32"]["speedup"] > 0
    assert {"host_s", "back_to_back_s", "peak_mib", "loss"} <= set(rows["ours float32"])
    module.print_table(result["results"])


def test_train_step__losses_of_a_precision_must_agree(load_benchmark):
    module = load_benchmark("train_step")
    rows = {
        "ours bf16-mixed": {"loss": 0.500},
        "plain bf16-mixed": {"loss": 0.503},
        "ours float32": {"loss": 0.7},
        "reference float32": {"loss": None},
        "ours tf32": {"error": "does not fit into memory"},
    }
    module.check_losses(rows)
    rows["ours bf16-mixed graph"] = {"loss": 0.51}
    with pytest.raises(SystemExit, match="losses after the same steps differ"):
        module.check_losses(rows)


@pytest.mark.parametrize(
    "variant",
    ["ours float32", "ours bf16-mixed foreach flash", "plain tf32", "reference bf16"],
)
def test_train_step_variants__run(variant, load_benchmark):
    module = load_benchmark("train_step_variants")
    # There is no tiny model in the released package.
    size = "small" if variant.startswith("reference") else "tiny"
    loss = module.make_step(variant, f"marlin_vit_{size}", module.make_batch(1))()
    assert loss is None or 0 < float(loss) < 1


@pytest.mark.parametrize("variant", ["theirs float32", "ours float32 quickly"])
def test_train_step_variants__unknown(variant, load_benchmark):
    module = load_benchmark("train_step_variants")
    with pytest.raises(ValueError, match="no variant"):
        module.make_step(variant, "marlin_vit_tiny", module.make_batch(1))


def test_gpu_feed__runs(tmp_path, run_benchmark, read_result):
    options = ["--device", "cpu", "--model", "marlin_vit_tiny", "--image-size", 64]
    options += ["--batch-size", 2, "--batches", 2, "--workers", 0]
    run_benchmark("gpu_feed", *options, "--out", tmp_path)
    results = read_result(tmp_path, "gpu_feed")["results"]
    rates = [row["clips_per_s"] for row in results.values() if "clips_per_s" in row]
    assert len(rates) == 4
    assert min(rates) > 0


def test_step_operations__runs(tmp_path, run_benchmark, read_result):
    run_benchmark("step_operations", "--repeats", 2, "--results", tmp_path)
    rows = read_result(tmp_path, "step_operations")["results"]
    assert rows["float32"]["casts"] == 0
    # There were 1,004 when each weight was copied by itself.
    assert rows["bf16-mixed"]["operations"] < 750
    assert rows["float32"]["operations"] < rows["bf16-mixed"]["operations"]
