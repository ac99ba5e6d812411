"""Times one training step beside the reference's, alternating, in one run.

    python recipes/benchmarks/train_step.py

The reference step is built on the modules of `marlin-pytorch` 0.3.4 as the released
trainer uses them: all tokens are embedded and then indexed by a boolean mask, the
discriminator's step runs the generator forward and backward, and the generator's step
runs it again. Ours is `lightly_marlin.training.PretrainStep` on uint8 clips. Both
update both networks with AdamW. The variants take turns, so that a slow moment of the
machine hits all of them; medians and quartiles are reported, and peak memory over that
of the model, measured in processes of their own.

Before anything is timed, both models predict from the same weights and must agree
within 1e-4; otherwise nothing is reported. (That one forward gives the same updates as
two is tested in tests/training/test_pretrain_step.py.)

Writes results/train_step-<machine>.json and prints a table. `--memory` measures memory
alone and adds it to the result that is already there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from lightly_marlin.models import MarlinDiscriminator, create_marlin
from lightly_marlin.models.config import named_config
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.training import PretrainStep
from lightly_marlin.transforms import indices_to_mask, tube_token_mask
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
VARIANTS = ("reference float32", "reference bf16", "ours float32", "ours bf16-mixed")
LEARNING_RATE = 1e-4
ADVERSARIAL_WEIGHT = 0.01


class ReferenceGenerator(nn.Module):
    """Encoder, projection and decoder of marlin-pytorch, as its trainer joins them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from marlin_pytorch.config import resolve_config
        from marlin_pytorch.model.decoder import MarlinDecoder
        from marlin_pytorch.model.encoder import MarlinEncoder

        config = resolve_config(f"{name}_ytf")
        common = {
            "img_size": config.img_size,
            "patch_size": config.patch_size,
            "n_frames": config.n_frames,
            "mlp_ratio": config.mlp_ratio,
            "qkv_bias": config.qkv_bias,
            "init_values": config.init_values,
            "tubelet_size": config.tubelet_size,
        }
        self.encoder = MarlinEncoder(
            embed_dim=config.encoder_embed_dim,
            depth=config.encoder_depth,
            num_heads=config.encoder_num_heads,
            **common,
        )
        self.decoder = MarlinDecoder(
            embed_dim=config.decoder_embed_dim,
            depth=config.decoder_depth,
            num_heads=config.decoder_num_heads,
            **common,
        )
        self.enc_dec_proj = nn.Linear(
            config.encoder_embed_dim, config.decoder_embed_dim, bias=False
        )

    def forward(self, videos: Tensor, visible: Tensor) -> Tensor:
        """Predicts masked tokens of float clips; `visible` (B, N) is True if seen."""
        tokens = self.enc_dec_proj(self.encoder(videos, visible))
        prediction: Tensor = self.decoder(tokens, visible)
        return prediction


class ReferenceDiscriminator(nn.Sequential):
    """The critic of the released trainer: two plain linear layers."""

    def __init__(self, patch_dim: int, hidden_dim: int) -> None:
        layers = (nn.Linear(patch_dim, hidden_dim), nn.LeakyReLU())
        super().__init__(*layers, nn.Linear(hidden_dim, 1))


class ReferenceStep:
    """The released algorithm: two generator forwards and backwards in a step."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, bf16: bool = False
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self.bf16 = bf16
        self.generator_optimizer = AdamW(
            [p for p in generator.parameters() if p.requires_grad],
            LEARNING_RATE,
            weight_decay=0.0,
        )
        self.discriminator_optimizer = AdamW(
            discriminator.parameters(), LEARNING_RATE, weight_decay=0.0
        )

    def __call__(self, videos: Tensor, visible: Tensor) -> None:
        """Trains on float clips (B, 3, T, H, W) and a boolean mask (B, N)."""
        context = torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()
        with context:
            self.discriminator_optimizer.zero_grad()
            pred, target = self.predict(videos, visible)
            scores = self.discriminator(torch.cat([pred, target]))
            fake, real = scores.chunk(2)
            loss = fake.mean() - real.mean()
        loss.backward()
        self.discriminator_optimizer.step()
        with context:
            self.generator_optimizer.zero_grad()
            pred, target = self.predict(videos, visible)
            adversarial = -self.discriminator(pred).mean()
            loss = F.mse_loss(pred, target) + ADVERSARIAL_WEIGHT * adversarial
        loss.backward()
        self.generator_optimizer.step()

    def predict(self, videos: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Returns prediction and target of the masked tokens."""
        pred = self.generator(videos, visible)
        tubelets = videos.unfold(2, 2, 2).unfold(3, 16, 16).unfold(4, 16, 16)
        tubelets = tubelets.permute(0, 2, 3, 4, 1, 5, 6, 7)
        tubelets = tubelets.reshape(len(videos), visible.shape[1], -1)
        return pred, tubelets[~visible].view(len(videos), -1, tubelets.shape[-1])


def make_batch(batch_size: int) -> dict[str, Tensor]:
    """Returns a batch of noise clips and one mask in both forms."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, 16, 224, 224)
    videos = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    idx_keep, idx_mask = tube_token_mask((batch_size, (8, 14, 14)), generator=generator)
    return {
        "uint8": videos,
        "float": videos.float() / 255,
        "idx_keep": idx_keep,
        "idx_mask": idx_mask,
        "visible": ~indices_to_mask(idx_mask, 1568),
    }


def make_step(variant: str, model: str, batch: dict[str, Tensor]) -> Callable[[], None]:
    """Returns a function that trains one step of a variant on `batch`."""
    torch.manual_seed(0)
    config = named_config(model)
    hidden = 4 * config.decoder_dim
    implementation, precision = variant.split()
    if implementation == "reference":
        critic = ReferenceDiscriminator(config.patch_dim, hidden)
        step = ReferenceStep(ReferenceGenerator(model), critic, precision == "bf16")
        return lambda: step(batch["float"], batch["visible"])
    run = make_our_step(
        create_marlin(model), MarlinDiscriminator(config.patch_dim, hidden)
    )
    if precision == "float32":
        return lambda: run(batch)

    def run_bf16() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            run(batch)

    return run_bf16


def make_our_step(
    model: Marlin, discriminator: nn.Module
) -> Callable[[dict[str, Tensor]], None]:
    """Returns a function that trains one step of ours."""
    step = PretrainStep(
        model,
        discriminator,
        AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0),
        AdamW(discriminator.parameters(), LEARNING_RATE, weight_decay=0.0),
        adversarial_weight=ADVERSARIAL_WEIGHT,
    )

    def run(batch: dict[str, Tensor]) -> None:
        step(batch["uint8"], batch["idx_keep"], batch["idx_mask"])

    return run


def check_same_result(model: str, batch: dict[str, Tensor]) -> float:
    """Predicts with the same weights both ways; returns the largest difference.

    Raises:
        SystemExit: If the implementations differ by more than 1e-4.
    """
    torch.manual_seed(1)
    reference = ReferenceGenerator(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.full.pt"
        torch.save(reference.state_dict(), path)
        ours = create_marlin(model, weights=str(path))
    with torch.no_grad():
        expected = reference(batch["float"], batch["visible"])
        actual = ours(batch["uint8"], batch["idx_keep"], batch["idx_mask"])
    difference = float((actual - expected).abs().max())
    if difference > 1e-4:
        sys.exit(f"The predictions of {model} differ by {difference:g}: not timing.")
    return difference


def time_variants(
    model: str, batch: dict[str, Tensor], repeats: int
) -> dict[str, list[float]]:
    """Returns the seconds of every timed step of every variant, taken in turns."""
    steps = {variant: make_step(variant, model, batch) for variant in VARIANTS}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    with progress() as bar:
        task = bar.add_task(model, total=repeats * len(steps), unit="steps")
        for _ in range(repeats):
            for variant, step in steps.items():
                start = time.perf_counter()
                step()
                seconds[variant].append(time.perf_counter() - start)
                bar.advance(task)
    return seconds


def peak_memory(variant: str, model: str, batch_size: int) -> float:
    """Returns MiB that two steps need beyond the weights, in a process of its own."""
    command = [sys.executable, __file__, "--probe", variant, "--models", model]
    command += ["--batch-size", str(batch_size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output.splitlines()[-1])["mib"])


def probe(variant: str, model: str, batch_size: int) -> None:
    """Prints how far two steps raise the memory of this process, as JSON."""
    step = make_step(variant, model, make_batch(batch_size))
    before = read_memory("VmRSS")
    # From here on the kernel notes the peak anew.
    Path("/proc/self/clear_refs").write_text("5")
    step()
    step()
    print(json.dumps({"mib": read_memory("VmHWM") - before}))


def read_memory(key: str) -> float:
    """Returns a line of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise RuntimeError(f"The kernel does not report {key}.")


def summarise(seconds: list[float]) -> dict[str, float]:
    """Returns median and quartiles in seconds."""
    low, median, high = statistics.quantiles(seconds, n=4)
    return {"median_s": median, "quartile_1_s": low, "quartile_3_s": high}


def print_table(result: dict[str, dict[str, dict[str, float]]]) -> None:
    """Prints one row per model and variant."""
    table = Table(title="One training step")
    for column in ("model", "variant", "median s", "speed-up", "peak MiB"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for model, variants in result.items():
        for variant, row in variants.items():
            table.add_row(
                model,
                variant,
                f"{row['median_s']:.3f}",
                f"{row['speedup']:.2f}",
                f"{row['peak_mib']:.0f}",
            )
    console.print(table)


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", nargs="+", default=["marlin_vit_small", "marlin_vit_base"]
    )
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--probe", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.probe:
        probe(arguments.probe, arguments.models[0], arguments.batch_size)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"train_step-{machine_name()}.json"
    if arguments.memory:
        result = json.loads(path.read_text(encoding="utf-8"))
    else:
        result = measure(arguments)
    for model, rows in result["results"].items():
        for variant, row in rows.items():
            row["peak_mib"] = peak_memory(variant, model, result["batch_size"])
    print_table(result["results"])
    write_json(path, result)
    console.print(f"written to {path}")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Checks and times all models; returns the result without memory."""
    batch = make_batch(arguments.batch_size)
    results: dict[str, dict[str, dict[str, float]]] = {}
    differences = {}
    for model in arguments.models:
        differences[model] = check_same_result(model, batch)
        seconds = time_variants(model, batch, arguments.repeats)
        rows = {variant: summarise(values) for variant, values in seconds.items()}
        base = rows["reference float32"]["median_s"]
        for row in rows.values():
            row["speedup"] = base / row["median_s"]
        results[model] = rows
    return {
        "suite": "train_step",
        "machine": describe_machine(),
        "threads": arguments.threads,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
        "largest_difference": differences,
        "results": results,
    }


if __name__ == "__main__":
    main()
