"""What all tests share: a kernel cache of their own, kept between runs, and settings for hypothesis."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis

os.environ.setdefault("FALLLINE_CACHE_DIR", str(Path(tempfile.gettempdir()) / "fallline-test-kernels"))
os.environ["NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING"] = "1"  # colours, on messages that nobody sees, take time
os.environ.pop("FALLLINE_DATA", None)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers that share the cores wait for each other's threads
import torch  # which reads the number of threads

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, whoever does it first

hypothesis.settings.register_profile("fallline", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("fallline")
