import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Drops the finders of an editable installation, so that only the checkout is left.
HIDE_INSTALLED = """
import sys
sys.meta_path = [f for f in sys.meta_path if "Editable" not in str(f)]
"""
LOAD = """
import torch
for size in ("tiny", "small", "base", "large"):
    settings = {"source": "local", "img_size": 32, "encoder_depth": 1}
    encoder = torch.hub.load(ROOT, f"marlin_vit_{size}", **settings)
    print(type(encoder).__name__, encoder.embed_dim)
model = torch.hub.load(ROOT, "create_marlin", "marlin_vit_tiny", source="local")
print(type(model).__name__)
import lightly_marlin.kernels
print(lightly_marlin.kernels.__file__)
"""


def test_loads_from_a_checkout_that_is_not_installed(tmp_path):
    program = HIDE_INSTALLED + f"ROOT = {str(ROOT)!r}\n" + LOAD
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "MarlinEncoder 192",
        "MarlinEncoder 384",
        "MarlinEncoder 768",
        "MarlinEncoder 1024",
        "Marlin",
        str(ROOT / "kernels" / "__init__.py"),
    ]
