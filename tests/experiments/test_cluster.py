import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lazyactive.experiments import cluster, user_claims
from lazyactive.experiments.cli import main

pytest.importorskip("distributed")

CLAIM = """\
import os, signal, time
from lazyactive.experiments.claim import Claim, Preset, register

class Sleepy(Claim):
    name = "sleepy"
    statement = "The mean energy of a random network is its weight times the mean of a neuron."
    source = "nowhere"
    precision = 1.0
    presets = {"quick": Preset(tuple({"m": m} for m in (8, 64, 512)), 6, {"seconds": 0.2})}

    def predict(self, condition):
        return {"mean": 0.25}

    def measure(self, condition, rng, settings):
        import numpy as np
        from lazyactive.numerics import features, sphere
        time.sleep(settings["seconds"])
        neurons = sphere.uniform(condition["m"], 3, rng)
        energy = features.energy(sphere.uniform(3000, 3, rng), neurons, np.ones(len(neurons)))
        return {"mean": energy.mean(), "product": float(energy[:1500] @ energy[1500:])}

register(Sleepy())
"""
PAUSE = "0.2}"


class Cluster:
    """A scheduler and workers, each a process of its own, in a folder of its own."""

    def __init__(self, folder, **settings):
        self.folder, self.processes = folder, []
        # Workers run in a folder without the claim, as on another machine.
        folder.mkdir()
        # Numba sees the cores of the machine, whatever the tests run on.
        inherited = {k: v for k, v in os.environ.items() if k != "NUMBA_NUM_THREADS"}
        self.environment = inherited | {
            f"DASK_{name}": str(value) for name, value in settings.items()
        }
        file = folder / "scheduler.json"
        self.scheduler = self.start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
            "--no-dashboard", "--scheduler-file", file,
        )  # fmt: skip
        wait(lambda: file.exists() and file.read_text().endswith("}"), self.scheduler)
        self.address = json.loads(file.read_text())["address"]

    def start(self, module, *arguments):
        with open(self.folder / f"{len(self.processes)}.log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, *arguments):
        return self.start("distributed.cli.dask_worker", self.address, "--no-dashboard", *arguments)

    def wait_for(self, n_workers):
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=60)

    def stop(self):
        for process in reversed(self.processes):
            # Those that it has started as well, such as the workers of a nanny.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)


@pytest.fixture
def start(tmp_path):
    """A function that starts a cluster, which ends with the test."""
    clusters = []

    def make(**settings):
        clusters.append(Cluster(tmp_path / f"cluster-{len(clusters)}", **settings))
        return clusters[-1]

    yield make
    for own in clusters:
        own.stop()


@pytest.fixture
def claim_file(tmp_path):
    path = tmp_path / "sleepy.py"
    path.write_text(CLAIM)
    return path


def wait(ready, process):
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def command(path, out, *arguments):
    program = "from lazyactive.experiments.cli import main; main()"
    return [
        sys.executable, "-c", program, "verify", str(path), "--out", str(out),
        *map(str, arguments),
    ]  # fmt: skip


def verify(path, out, *arguments):
    return CliRunner().invoke(main, ["verify", str(path), "--out", str(out), *map(str, arguments)])


def stored(out):
    try:
        with sqlite3.connect(f"file:{out / 'results.sqlite'}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM cells").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def results(out):
    return (out / "sleepy" / "results.csv").read_bytes()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_numbers_of_one_process(
    start, claim_file, tmp_path
):
    own = start()
    workers = [own.worker("--nthreads", 1, "--no-nanny") for _ in range(2)]
    own.wait_for(2)
    out = tmp_path / "cluster"
    run = subprocess.Popen(
        command(claim_file, out, "--scheduler", own.address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait(lambda: stored(out) >= 2, run)
    os.kill(workers[0].pid, signal.SIGKILL)
    assert stored(out) < 12
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 0, output + errors
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    assert "18/18" in errors
    for jobs in (1, 2):
        local = verify(claim_file, tmp_path / str(jobs), "--jobs", jobs)
        assert local.exit_code == 0, local.stderr
        assert results(tmp_path / str(jobs)) == results(out)
    assert results(out).count(b"\n") == 19
    # The same command has nothing left to measure, and needs no cluster for it.
    own.stop()
    again = verify(claim_file, out, "--scheduler", own.address)
    assert again.exit_code == 0, again.stderr
    assert results(tmp_path / "1") == results(out)


@pytest.mark.slow
def test_a_worker_of_many_threads_measures_one_cell_at_a_time(start, claim_file, tmp_path):
    own = start()
    own.worker("--nthreads", 4, "--no-nanny")
    own.wait_for(1)
    plain = CLAIM.replace(PAUSE, "0.05}")
    watched = plain.replace(
        "        import numpy", "        start = time.time()\n        import numpy"
    )
    watched = watched.replace(
        'return {"mean": energy.mean(),',
        "from threadpoolctl import threadpool_info\n"
        "        import numba, scipy.linalg\n"
        "        blas = [i['num_threads'] for i in threadpool_info() if i['user_api'] == 'blas']\n"
        '        return {"mean": 0.25, "blas": max(blas), "numba": numba.get_num_threads(),\n'
        '            "start": start, "end": time.time(),',
    )
    assert watched.count("start") == 3
    claim_file.write_text(watched)
    run = verify(claim_file, tmp_path / "watched", "--scheduler", own.address)
    assert run.exit_code == 0, run.stderr
    rows = [line.split(",") for line in results(tmp_path / "watched").decode().splitlines()]
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    # Of BLAS also in the first cell, which loads SciPy's.
    assert {float(n) for n in columns["blas"]} == {1.0}
    assert {float(n) for n in columns["numba"]} == {float(min(4, os.cpu_count() or 1))}
    spans = sorted(zip(map(float, columns["start"]), map(float, columns["end"]), strict=True))
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    # An edited file is another claim for a worker that lives on, and threads change no bit.
    claim_file.write_text(plain)
    run = verify(claim_file, tmp_path / "cluster", "--scheduler", own.address)
    assert run.exit_code == 0, run.stderr
    verify(claim_file, tmp_path / "local", "--jobs", 1)
    assert results(tmp_path / "cluster") == results(tmp_path / "local")


@pytest.mark.slow
def test_a_cell_that_kills_its_workers_is_a_failure_and_the_others_are_kept(
    start, claim_file, tmp_path
):
    marker = tmp_path / "mend"
    claim_file.write_text(
        CLAIM.replace(PAUSE, "0.02}")
        .replace(
            "        time.sleep",
            f"        if condition['m'] == 64 and not os.path.exists({str(marker)!r}):\n"
            "            os.kill(os.getpid(), signal.SIGKILL)\n"
            "        time.sleep",
        )
        # One bad cell: each takes the workers some seconds to come back.
        .replace("for m in (8, 64, 512)), 6", "for m in (8, 64, 512)), 1")
    )
    own = start(DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1)
    own.worker("--nthreads", 1, "--nworkers", 2)
    own.wait_for(2)
    run = verify(claim_file, tmp_path, "--scheduler", own.address)
    assert run.exit_code == 3, run.stderr
    assert "Failed: {'m': 64}, repetition 0: KilledWorker: 2 workers died" in run.stderr
    kept = stored(tmp_path)
    assert kept >= 1
    marker.touch()
    own.wait_for(2)
    run = verify(claim_file, tmp_path, "--scheduler", own.address)
    assert "verdict: undecided" in run.stdout, run.stderr  # One repetition has no interval.
    assert stored(tmp_path) == 3


@pytest.mark.slow
def test_a_scheduler_that_is_lost_leaves_the_finished_cells(start, claim_file, tmp_path):
    own = start()
    own.worker("--nthreads", 1, "--no-nanny")
    own.wait_for(1)
    run = subprocess.Popen(
        command(claim_file, tmp_path, "--scheduler", own.address),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait(lambda: stored(tmp_path) >= 1, run)
    os.kill(own.scheduler.pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 3, errors
    assert "The connection to the scheduler was lost. Finished cells are kept" in errors
    assert "Traceback" not in errors
    assert 1 <= stored(tmp_path) < 18


@pytest.mark.slow
def test_workers_of_another_version_are_refused(start, claim_file, tmp_path):
    own = start()
    # As if the worker ran another NumPy.
    site = own.folder / "sitecustomize.py"
    site.write_text(
        "import importlib.metadata as m\n"
        "known = m.version\n"
        "m.version = lambda name: '0.1' if name == 'numpy' else known(name)\n"
    )
    own.environment["PYTHONPATH"] = str(own.folder)
    own.worker("--nthreads", 1, "--no-nanny")
    own.wait_for(1)
    run = verify(claim_file, tmp_path, "--scheduler", own.address)
    assert run.exit_code == 2, run.stdout
    message = " ".join(run.stderr.split())
    assert "has numpy 0.1, but this process" in message
    assert "Traceback" not in message
    assert stored(tmp_path) == 0


def test_a_scheduler_that_does_not_answer_is_one_sentence(claim_file, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:9", "nowhere", "tcp://", "ftp://host:1"):
        begin = time.monotonic()
        result = verify(claim_file, tmp_path, "--scheduler", address)
        message = " ".join(result.stderr.split())
        assert result.exit_code == 2, result.output
        assert "--scheduler" in message
        assert f"{address!r} does not answer" in message
        assert "Traceback" not in message
        assert time.monotonic() - begin < 5


def test_a_cluster_without_dask_names_what_to_install(claim_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = verify(claim_file, tmp_path, "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert "pip install 'lazyactive[cluster]'" in result.stderr


def test_jobs_and_a_scheduler_exclude_each_other(claim_file, tmp_path):
    arguments = ("--scheduler", "tcp://127.0.0.1:9", "--jobs", "2")
    result = verify(claim_file, tmp_path, *arguments)
    assert result.exit_code == 2
    assert "--jobs is for this machine, --scheduler for a cluster" in result.stderr


def test_a_worker_that_began_before_an_edit_differs(claim_file, monkeypatch):
    claim = user_claims.load(str(claim_file))
    here = cluster.state(claim)
    assert cluster._difference(here, cluster._state_of_worker(claim)) is None
    # The worker keeps what it had when it began, whatever the files say now.
    monkeypatch.setattr(cluster, "_package_at_start", lambda: {"numerics/a.py": "older"})
    assert "another source" in cluster._difference(here, cluster._state_of_worker(claim))
    monkeypatch.setattr(cluster, "_versions_at_start", lambda: here | {"scipy": "0.1"})
    assert cluster._difference(here, cluster._state_of_worker(claim)).startswith("has scipy 0.1,")


def test_a_late_worker_that_differs_fails_its_cells(claim_file, monkeypatch):
    import distributed

    claim = user_claims.load(str(claim_file))
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(address="tcp://late:1"))
    state = cluster.state(claim) | {"numba": "0.1"}
    key, failure = cluster._measure(state, "key", claim, {"m": 8}, 0, 0, {"seconds": 0.0})
    assert key == "key"
    assert failure.error.startswith("worker tcp://late:1 has numba ")
