"""Execute every notebook of this folder; an exception in a cell fails.

``--write`` stores the outputs in the notebooks, as they are committed.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def main() -> None:
    paths = sorted(FOLDER.glob("*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {FOLDER}")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        start = time.perf_counter()
        NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False).execute(
            cwd=str(FOLDER)
        )
        print(f"{path.name}: {time.perf_counter() - start:.0f} s")
        if "--write" in sys.argv[1:]:
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
