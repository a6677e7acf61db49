import os
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import table
from benchmarks.__main__ import main
from benchmarks.case import Case, Disagreement, check_agreement, worker_of
from benchmarks.cases import ALL_CASES
from benchmarks.guard import GUARDED, PLAIN
from benchmarks.measure import PACKAGES, Measured, Row, measure
from benchmarks.peers.blocks import rows_in_cache, rows_of_pairs
from benchmarks.scaling import Growth
from benchmarks.timing import Spread, exponents, ratios, take_turns
from benchmarks.workers import ContenderError, Workers
from lazyactive.numerics._files import write_whole

# Workers import it, and `tests` may be another package's there.
RUNS = """
import os

def doubled(x):
    return lambda: 2 * x

def shifted(x):
    return lambda: 2 * x + 1

def broken(x):
    raise RuntimeError("no compiler")

def dead(x):
    os._exit(3)
"""


def case(**runs):
    names = {"ours": "doubled"} | runs
    runs = {name: f"runs_of_a_test:{function}" for name, function in names.items()}
    return Case("doubling", "twice a number", partial(tuple, [2.0]), runs)


def test_exponents_of_powers():
    sizes = (10, 20, 40)
    times = [[3e-3 * n**1.5, 5e-3 * n**0.5] for n in sizes]
    assert exponents(sizes, times) == pytest.approx((1.0, 0.5, 1.5))


def test_ratios_are_taken_within_a_round():
    assert ratios([1.0, 2.0, 4.0], [3.0, 4.0, 20.0]) == (3.0, 2.0, 5.0)


def test_turns_are_taken_in_reversed_order_every_other_round(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    order = []

    def turn(name, seconds):
        order.append(name)
        return [seconds, 9.0, seconds]

    times = take_turns({"a": lambda: turn("a", 1.0), "b": lambda: turn("b", 2.0)}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": [1.0] * 3, "b": [2.0] * 3}


@pytest.mark.parametrize(
    ("theirs", "good"), [([1.0, 2.00019], True), ([1.0, 2.00021], False), ([1.0, np.nan], False)]
)
def test_results_agree_to_the_tolerance(theirs, good):
    ours = [np.array([1.0, 2.0])]
    if good:
        check_agreement(case(), "peer", ours, [np.array(theirs)])
    else:
        with pytest.raises(Disagreement, match="peer, result 0"):
            check_agreement(case(), "peer", ours, [np.array(theirs)])


def test_results_of_another_shape_or_number_disagree():
    with pytest.raises(Disagreement, match="shape"):
        check_agreement(case(), "peer", [np.zeros(3)], [np.zeros(1)])
    with pytest.raises(Disagreement, match="returns 2"):
        check_agreement(case(), "peer", [np.zeros(3)], [np.zeros(3)] * 2)


def test_measured_in_processes(tmp_path, monkeypatch):
    (tmp_path / "runs_of_a_test.py").write_text(RUNS)
    monkeypatch.syspath_prepend(tmp_path)
    everybody = case(NumPy="doubled", PyTorch="broken", JAX="dead")
    with Workers() as workers:
        found = measure(workers, everybody, 2, 0.01, against_limit=False)
        ours, numpy, torch, jax = found.rows
        assert ours.seconds.median > 0
        assert ours.ratio is None
        assert numpy.ratio.low > 0
        assert torch.note == "failed: RuntimeError: no compiler"
        assert jax.note.startswith("failed: its process ended with exit code 3")
        assert found.fastest("NumPy", in_blocks=False) is numpy
        found = measure(workers, case(NumPy="shifted"), 1, 0.01)
        assert found.disagreements == [
            "disagrees: NumPy, result 0: off by 1, but 0.0004 is allowed."
        ]
        assert found.rows[1].ratio is None
        with pytest.raises(ContenderError, match="no compiler"):
            measure(workers, case(ours="broken"), 1, 0.01)


def test_every_run_exists():
    for one in [*ALL_CASES.values(), *(guarded for guarded, _ in GUARDED)]:
        assert next(iter(one.runs)) == "ours"
        for contender, reference in one.runs.items():
            module, function = reference.split(":")
            package = PACKAGES.get(worker_of(contender))
            if package is None or find_spec(package):
                assert callable(getattr(import_module(module), function))


def test_guarded_work_has_a_plain_run():
    for guarded, least in GUARDED:
        assert PLAIN in guarded.runs
        assert least > 1


@pytest.mark.parametrize(("n", "m"), [(30_000, 500), (15_000, 4096), (30_000, 3), (7, 10**6)])
def test_blocks_divide_the_rows(n, m):
    for rows in (rows_in_cache(n, m), rows_of_pairs(n)):
        assert rows >= 1
        assert n % rows == 0
    assert rows_in_cache(n, m) == 1 or rows_in_cache(n, m) * m <= 2**19


def test_document_holds_what_was_measured():
    s = Spread(2e-3, 1e-3, 3e-3)
    rows = (
        Row("ours", s, None, 5e10, Spread(0.7, 0.6, 0.8)),
        Row("NumPy", s, Spread(6.0, 5.0, 7.0), 1e10, Spread(0.1, 0.1, 0.1)),
        Row("NumPy, in blocks", s, Spread(2.0, 1.5, 2.5), 2e10, Spread(0.2, 0.2, 0.2)),
        Row("JAX", note="failed: nothing"),
    )
    measured = Measured(case(NumPy="doubled"), rows)
    limits = {"sgemm": Spread(1e11, 1e11, 1e11)}
    growth = Growth("n", (1, 2), [s, s], Spread(1.02, 1.0, 1.05))
    text = table.document(
        "make bench", "today", {"processor": "fast"}, limits, "no", [measured], [growth], {"x": 9.6}
    )
    summary = next(line for line in text.splitlines() if line.startswith("| doubling"))
    assert "| 2 ms | 6.00 (5.00 to 7.00) | 2.00 (1.50 to 2.50) |" in summary
    for words in ("failed: nothing", "1.02 (1.00 to 1.05)", "10 MB", "100.0", "- processor: fast"):
        assert words in text


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "RESULTS.md"
    write_whole(path, b"old")

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_work_is_refused():
    result = CliRunner().invoke(main, ["--only", "teleport"])
    assert result.exit_code == 2
    assert "likelihood-d15" in result.output
