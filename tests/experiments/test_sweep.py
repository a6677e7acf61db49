import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lazyactive.experiments.claim import Preset
from lazyactive.experiments.store import Store
from lazyactive.experiments.sweep import run, seed_sequence

# A program of its own, to be killed: its cells wait, so that a signal finds some of them done.
PROGRAM = """
import signal, sys, time
# A shell has what it runs in the background ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {folder!r})
from conftest import make_claim
from lazyactive.experiments.claim import register
from lazyactive.experiments.cli import main

claim = make_claim(repetitions=3)
kind = type(claim)
measure = kind.measure
def wait(self, condition, rng, settings):
    time.sleep({pause})
    return measure(self, condition, rng, settings)
kind.measure = wait
register(claim)
main()
"""


def sweep(claim, path, *, seed=0, jobs=1, preset="quick", progress=lambda known, measured: None):
    with Store(path) as store:
        return run(claim, claim.presets[preset], store, seed=seed, jobs=jobs, progress=progress)


def bits(results):
    return [
        (dict(r.condition), r.repetition, {k: v.hex() for k, v in r.values.items()})
        for r in results
    ]


def test_the_number_of_workers_changes_no_bit(fake, tmp_path):
    claim = fake()
    one = sweep(claim, tmp_path / "1.sqlite", jobs=1)
    two = sweep(claim, tmp_path / "2.sqlite", jobs=2)
    assert len(one.results) == 12
    assert not one.failures
    assert bits(one.results) == bits(two.results)


def test_results_keep_the_order_of_the_grid(fake, tmp_path):
    claim = fake()
    done = sweep(claim, tmp_path / "r.sqlite")
    grid = claim.presets["quick"]
    assert [(r.condition, r.repetition) for r in done.results] == [
        (condition, repetition) for condition in grid.conditions for repetition in range(3)
    ]


def test_dearest_cells_first_but_same_bits(fake, tmp_path):
    claim = fake()
    cheap_first = sweep(claim, tmp_path / "1.sqlite")
    seen = []
    measure = type(claim).measure

    def watch(self, condition, rng, settings):
        seen.append(condition["n"])
        return measure(self, condition, rng, settings)

    type(claim).measure = watch
    type(claim).cost = lambda self, condition: condition["n"]
    dear_first = sweep(claim, tmp_path / "2.sqlite")
    assert seen == sorted(seen, reverse=True)
    assert bits(cheap_first.results) == bits(dear_first.results)


def test_finished_cells_are_not_measured_again(fake, tmp_path):
    claim = fake()
    first = sweep(claim, tmp_path / "r.sqlite")

    def never(self, condition, rng, settings):
        raise AssertionError("measured again")

    measure = type(claim).measure
    type(claim).measure = never
    known = []
    again = sweep(claim, tmp_path / "r.sqlite", progress=lambda *counts: known.append(counts))
    assert bits(again.results) == bits(first.results)
    assert known == [(12, 0)]
    # Another seed, and other settings, are other cells.
    assert len(sweep(claim, tmp_path / "r.sqlite", seed=1).failures) == 12
    claim.presets["quick"] = Preset(claim.presets["quick"].conditions, 3, {"scale": 2.0})
    assert len(sweep(claim, tmp_path / "r.sqlite").failures) == 12
    type(claim).measure = measure
    scaled = sweep(claim, tmp_path / "r.sqlite")
    assert scaled.results[0].values["y"] == 2 * first.results[0].values["y"]


def test_presets_share_their_cells(fake, tmp_path):
    claim = fake()
    quick = sweep(claim, tmp_path / "r.sqlite")
    known = []
    paper = sweep(
        claim, tmp_path / "r.sqlite", preset="paper", progress=lambda *counts: known.append(counts)
    )
    assert known == [(12, 0), (13, 1), (14, 2), (15, 3), (16, 4)]
    assert bits(quick.results) == bits(r for r in paper.results if r.repetition < 3)


def test_shared_keys_give_common_random_numbers(fake, tmp_path):
    results = sweep(fake(), tmp_path / "r.sqlite").results
    first = {(*r.condition.values(), r.repetition): r.values["first"] for r in results}
    for n in (10, 20):
        for repetition in range(3):
            assert first[n, "a", repetition] == first[n, "b", repetition]
    # Everything else is independent: 2 sizes x 3 repetitions.
    assert len(set(first.values())) == 6


def test_the_seed_of_a_cell_is_pinned(fake):
    # Were the derivation to change, results of different versions would silently not be the same
    # experiment: this is the state as first published.
    claim = fake()
    sequence = seed_sequence(claim, {"n": 10, "method": "a"}, 0, 5)
    assert sequence.entropy == 5
    assert len(sequence.spawn_key) == 8
    same = seed_sequence(claim, {"method": "b", "n": 10}, 0, 5)
    assert sequence.spawn_key == same.spawn_key
    others = [
        seed_sequence(claim, {"n": 11, "method": "a"}, 0, 5),
        seed_sequence(claim, {"n": 10, "method": "a"}, 1, 5),
        seed_sequence(fake(name="other"), {"n": 10, "method": "a"}, 0, 5),
    ]
    assert len({sequence.spawn_key, *(other.spawn_key for other in others)}) == 4
    code = hashlib.sha256(b'["fake",{"n":10},0]').digest()
    assert sequence.spawn_key == tuple(np.frombuffer(code, ">u4").tolist())


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cell_that_raises_does_not_stop_the_others(fake, tmp_path, jobs):
    done = sweep(fake(failing_n=10), tmp_path / "r.sqlite", jobs=jobs)
    assert {r.condition["n"] for r in done.results} == {20}
    assert len(done.results) == len(done.failures) == 6
    assert {f.error for f in done.failures} == {"ArithmeticError: no such number"}
    assert "in measure" in done.failures[0].trace
    # It is not stored: once the cause is gone, it is measured.
    assert len(sweep(fake(name="x"), tmp_path / "r.sqlite").results) == 12


def test_what_is_not_finite_is_a_failure(fake, tmp_path):
    claim = fake()
    type(claim).measure = lambda self, condition, rng, settings: {"x": 1.0, "y": np.inf}
    done = sweep(claim, tmp_path / "r.sqlite")
    assert not done.results
    assert {f.error for f in done.failures} == {"ValueError: y must be finite; measured inf"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_blas_has_one_thread(fake, tmp_path, jobs):
    claim = fake()

    def measure(self, condition, rng, settings):
        from threadpoolctl import threadpool_info

        np.ones((2, 2)) @ np.ones((2, 2))
        return {
            "threads": max(i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas")
        }

    type(claim).measure = measure
    # A worker of pytest-xdist has one thread: the limit must be the sweep's own.
    with threadpool_limits(limits=2, user_api="blas"):
        done = sweep(claim, tmp_path / "r.sqlite", jobs=jobs)
        assert measure(claim, {}, None, {}) == {"threads": 2}
    assert {r.values["threads"] for r in done.results} == {1.0}


def test_numba_threads_are_shared_out(fake, tmp_path):
    import joblib

    claim = fake()

    def measure(self, condition, rng, settings):
        return {"threads": float(os.environ["NUMBA_NUM_THREADS"])}

    type(claim).measure = measure
    done = sweep(claim, tmp_path / "r.sqlite", jobs=2)
    assert {r.values["threads"] for r in done.results} == {max(1, joblib.cpu_count() // 2)}


def start(tmp_path, out, jobs, pause=0.0):
    """Run the program; with a pause in each cell, so that it can be stopped in the middle."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(Path(__file__).parent), pause=pause))
    command = [sys.executable, str(program), "verify", "fake", "--out", str(out)]
    return subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stored(out):
    try:
        connection = sqlite3.connect(f"file:{out / 'results.sqlite'}?mode=ro", uri=True)
        with connection:
            return connection.execute("SELECT count(*) FROM cells").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def stop_midway(process, out, send):
    deadline = time.monotonic() + 60
    while stored(out) < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, send)
    return process.communicate(timeout=60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of a run that nothing stops, by one worker."""
    folder = tmp_path_factory.mktemp("whole")
    run = start(folder, folder / "out", 1)
    _, progress = run.communicate(timeout=60)
    assert run.returncode == 0, progress
    return (folder / "out" / "fake" / "results.csv").read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_resumes_to_the_same_numbers(tmp_path, jobs, whole):
    out = tmp_path / "killed"
    process = start(tmp_path, out, jobs, pause=0.25)
    stop_midway(process, out, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = stored(out)
    assert 3 <= kept < 12
    assert not (out / "fake" / "summary.json").exists()
    resumed = start(tmp_path, out, jobs)
    _, progress = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, progress
    assert f"{kept}/12" in progress
    assert (out / "fake" / "results.csv").read_bytes() == whole
    assert whole.count(b"\n") == 13


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_says_how_to_resume(tmp_path, jobs):
    process = start(tmp_path, tmp_path / "out", jobs, pause=0.25)
    _, message = stop_midway(process, tmp_path / "out", signal.SIGINT)
    assert process.returncode == 130
    assert "the same command resumes" in message
    assert stored(tmp_path / "out") >= 3
