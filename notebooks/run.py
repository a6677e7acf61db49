"""Execute every notebook of this folder, two at a time; an exception in a cell fails.

``--write`` stores the outputs in the notebooks, as they are committed.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
N_WORKERS = 2


def execute(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False).execute(
        cwd=str(FOLDER)
    )
    if "--write" in sys.argv[1:]:
        nbformat.write(notebook, path)
    return f"{path.name}: {time.perf_counter() - start:.0f} s"


def main() -> None:
    paths = sorted(FOLDER.glob("*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {FOLDER}")
    # Threads of one notebook would only be in the way of the other's.
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(N_WORKERS) as pool:
        for line in pool.map(execute, paths):
            print(line, flush=True)


if __name__ == "__main__":
    main()
