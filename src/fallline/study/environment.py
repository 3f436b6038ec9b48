"""What a number may depend on beside the trial itself: versions and machine."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that compute a trial."""
    packages = ("fallline", "torch", "numpy", "numba")
    return {"python": platform.python_version(), **{package: _version(package) for package in packages}}


def machine() -> dict[str, Any]:
    """The machine: processor name, cores and threads that may be used, memory in bytes, operating system."""
    import torch

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": _memory(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
