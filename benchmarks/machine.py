"""The machine, and its limits: matrix products, and copying memory."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np

from lazyactive.experiments.report_command import processor

__all__ = ["LIMITS", "PRODUCT_FLOPS", "cores", "describe", "skylakex_rate"]

SIDE = 4096
PRODUCT_FLOPS = 2.0 * SIDE**3
COPIED = 2**28
PACKAGES = ("lazyactive", "numpy", "scipy", "numba", "torch", "jax")
# Contender to the run, and the flops or the bytes of one call. Copying reads and writes.
LIMITS = {
    "sgemm": ("benchmarks.machine:product", PRODUCT_FLOPS),
    "dgemm": ("benchmarks.machine:product", PRODUCT_FLOPS),
    "copy": ("benchmarks.machine:copy", 2.0 * COPIED),
}
_SKYLAKEX = """
import time, numpy as np
A = np.random.default_rng(0).standard_normal(({side}, {side})).astype(np.float32)
A @ A
times = []
for _ in range(3):
    start = time.perf_counter()
    A @ A
    times.append(time.perf_counter() - start)
print(sorted(times)[1])
"""


def limit_inputs(name: str) -> tuple[np.ndarray, ...]:
    if name == "copy":
        return (np.ones(COPIED, np.uint8),)
    dtype = np.float32 if name == "sgemm" else np.float64
    return (np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(dtype),)


def product(A: np.ndarray) -> Callable[[], float]:
    """NumPy's matrix product of two square matrices; its corner is enough of a result."""
    out = np.empty_like(A)
    return lambda: float(np.matmul(A, A, out=out)[0, 0])


def copy(source: np.ndarray) -> Callable[[], int]:
    """Copy memory with a thread for each core: copying releases the interpreter's lock."""
    target = np.zeros_like(source)
    n = cores()
    parts = list(zip(np.array_split(target, n), np.array_split(source, n), strict=True))
    pool = ThreadPoolExecutor(n)

    def run() -> int:
        for done in [pool.submit(np.copyto, *part) for part in parts]:
            done.result()
        return int(target[-1])

    return run


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def skylakex_rate() -> float | str:
    """Return the single-precision rate with the AVX-512 kernels, in flops per second, or why not.

    OpenBLAS chooses its kernels by the name of the processor, and without the name of one that has
    AVX-512 it may take others. Asked for on a machine without it, the process dies.
    """
    if not _has("avx512f"):
        return "not asked for: the processor has no AVX-512"
    done = subprocess.run(
        [sys.executable, "-c", _SKYLAKEX.format(side=SIDE)],
        env=os.environ | {"OPENBLAS_CORETYPE": "SKYLAKEX"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"the process ended with exit code {done.returncode}"
    return PRODUCT_FLOPS / float(done.stdout)


def describe() -> dict[str, str]:
    """Processor, cores, system and versions."""
    return {
        "processor": f"{processor()}, {cores()} of {os.cpu_count()} cores used, "
        + ("with AVX-512" if _has("avx512f") else "without AVX-512"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    } | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _has(flag: str) -> bool:
    return any(line.startswith("flags") and flag in line.split() for line in _cpuinfo())


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
