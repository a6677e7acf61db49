"""What the README says is true: its files and its commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_claim_in_the_readme_is_the_file():
    claim = (ROOT / "docs" / "my_claim.py").read_text(encoding="utf-8")
    assert f"```python\n{claim}```" in README
    assert len(claim.splitlines()) < 40


def test_files_that_are_linked_exist():
    targets = re.findall(r"\]\(([^)]+)\)", README)
    local = [target for target in targets if not target.startswith("http")]
    assert len(local) > 10
    assert [target for target in local if not (ROOT / target).exists()] == []


def _commands():
    block = re.search(r"## Three jobs.*?```sh\n(.*?)```", README, re.DOTALL).group(1)
    lines = [line for line in block.splitlines() if line.startswith("lazyactive ")]
    assert len(lines) == 8
    return lines


@pytest.mark.slow
def test_three_jobs_in_order(tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in _commands():
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    assert (tmp_path / "results" / "report.html").stat().st_size > 10_000
    assert len(list((tmp_path / "results").glob("*/figure.png"))) == 4
