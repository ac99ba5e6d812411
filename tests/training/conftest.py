"""Tests of the training share a small model; subfolders have fixtures of their own."""

import sys
from pathlib import Path

# Tests are imported by path, so their folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))
