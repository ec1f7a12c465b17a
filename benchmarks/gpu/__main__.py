"""Run from a checkout with any Python that has PyTorch: talkies itself need not be installed."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from gpu.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
