"""Generated command lines and files: no traceback, no hang, no file left half written.

The fast suite runs 100 examples. All 5000 that are promised, in about ten minutes:

    HOSTILE_EXAMPLES=5000 python -m pytest tests/experiments/test_hostile_input.py

Training, sampling, drawing and measuring are replaced by something quick, so that examples which
are valid by chance cost nothing: what is tested is how arguments and files are read, refused and
written. The other tests run the real thing.
"""

import contextlib
import io
import json
import os
import signal
import sqlite3
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lazyactive.experiments import _console, cli, fitting
from lazyactive.numerics import ShallowEBM, load_model, model_files, sphere

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "100"))
# Far above what any example takes: the slowest compiles.
SECONDS = 60
HOSTILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def made(regime="active", d=3):
    """What stands for a fitted model."""
    model = ShallowEBM(regime, random_state=0)
    model.neurons_, model.weights_ = np.eye(1, d), np.array([-1.0])
    model.log_partition_, model.log_partition_se_ = 0.25, 0.001
    model.penalty_, model.n_iter_, model.converged_ = 0.0, 3, True
    model.optimality_gap_, model.n_features_in_ = 1e-9, d
    return model


def quick_fit(regime, options, training, held_out):
    model = made(regime, training.shape[1])
    values = held_out @ model.neurons_[0]
    told = fitting.mean_log_density(values, 0.001)
    return fitting.Fit(model, len(training), told, told, values, 0.0)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Nothing is trained, sampled, drawn or measured."""

    def draw(content, folder):
        for suffix in ("png", "pdf"):
            (folder / f"figure.{suffix}").write_bytes(b"%PNG")

    def energy(self, X):
        return -np.concatenate([np.asarray(X[i : i + 9]) for i in range(0, len(X), 9)])[:, 0]

    def interdicted(*_, **__):
        raise AssertionError("an example got through to a measurement")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "fit", quick_fit)
        patch.setattr(ShallowEBM, "energy", energy)
        patch.setattr(
            ShallowEBM, "sample", lambda self, n, seed=0: sphere.uniform(n, self.n_features_in_, 0)
        )
        patch.setattr(_console, "draw", draw)
        patch.setattr(_console, "announce_compilation", lambda: None)
        patch.setattr(cli, "_sweep", interdicted)
        yield


# Files


def array_file(save):
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def csv_of(X):
    return "".join(",".join(map(repr, row)) + "\n" for row in X.tolist()).encode()


POINTS = sphere.uniform(14, 3, rng=0)
VALID = {
    "points.npy": [
        array_file(lambda f: np.save(f, POINTS)),
        array_file(lambda f: np.save(f, sphere.uniform(14, 5, rng=1).astype(np.float32))),
        array_file(lambda f: np.save(f, 2.5 * POINTS)),
        array_file(lambda f: np.save(f, np.asfortranarray(POINTS))),
        array_file(lambda f: np.save(f, POINTS.astype(object), allow_pickle=True)),
    ],
    "points.npz": [
        array_file(lambda f: np.savez(f, X=POINTS)),
        array_file(lambda f: np.savez_compressed(f, X=POINTS, y=np.arange(14))),
        array_file(lambda f: np.savez(f, a=POINTS, b=POINTS)),
    ],
    "points.csv": [
        csv_of(POINTS),
        b"x;y;z\n" + csv_of(POINTS).replace(b",", b";"),
        b"\xef\xbb\xbflat,lon,place\n" + b'38.3,142.4,Sendai\n-33,151,"Sydney, NSW"\n' * 8,
        csv_of(7 * POINTS).replace(b",", b" "),
    ],
    "model.npz": [
        model_files.to_bytes(made()),
        model_files.to_bytes(made("lazy")),
        model_files.to_bytes(made(d=2)),
    ],
    "results/mle-one-neuron/summary.json": [
        b'{"verdict": "holds", "preset": "quick", "seed": 0}',
        b'{"verdict": "holds"}',
        b"[1]",
    ],
    "results/results.sqlite": [b""],
}
TOKENS = (
    "0", "1", "-1", "0.6", "0.8", "1e999", "1e-400", "nan", "-inf", "9" * 400, "1_0", "٣", "",
    "lat", "lon", "LATITUDE", "x", ",", ";", "\t", " ", "\n", "\r\n", "\r", '"', "'", "#", "\0",
    "\ufeff", "=1+1", "\u2028", "é",
)  # fmt: skip


@st.composite
def mutated(draw, contents):
    """A valid file that was cut, changed or extended in a few places."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 4))):
        where = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["cut", "change", "insert", "remove", "repeat"])):
            case "cut":
                del content[where:]
            case "change" if where < len(content):
                content[where] = draw(st.integers(0, 255))
            case "insert":
                content[where:where] = draw(st.binary(max_size=6))
            case "remove":
                del content[where : where + draw(st.integers(1, 40))]
            case "repeat":
                content[where:where] = content[where : where + draw(st.integers(1, 40))]
    return bytes(content)


def contents_of(name):
    strategies = [mutated(VALID[name]), st.binary(max_size=80)]
    if name.endswith((".csv", ".json")):
        text = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)
        strategies.append(text.map(lambda words: words.encode()))
    return st.one_of(*strategies)


FILES = st.fixed_dictionaries({}, optional={name: contents_of(name) for name in VALID})

# Command lines

NAMES = (*VALID, "missing.csv", "folder.npy", "results", ".", "..", "out/deep", "x" * 300 + ".csv")
# The system hands over any bytes but NUL.
BYTES = st.binary(max_size=12).map(lambda b: os.fsdecode(b.replace(b"\0", b"")))
WORDS = st.one_of(
    st.sampled_from(NAMES),
    st.text(string.printable, max_size=8),
    BYTES,
    st.integers(-3, 12).map(str),
    st.floats(width=32).map(str),
    st.sampled_from(["--", "-", "-n", "--help", "nan", "inf", "-0", "1e3", "0x1", "9" * 30, "١"]),
)
SEED = ("--seed", st.integers(-2, 2**70).map(str))
SMALL = st.integers(-1, 6).map(str)
NUMBER = st.one_of(st.floats().map(str), st.integers(-3, 20).map(str))
EXTREMES = (
    "nan", "inf", "0", "-0.0", "1e-300", "1e-9", "-1e4", "-1e3", "1e3", "1.4e153", "-1e308", "w",
)  # fmt: skip
FOLDER = ("--out", st.sampled_from(["out", "results", "points.csv", "out/deep", "\udcff"]))
JSON = ("--json", None)
EXPRESSIONS = st.one_of(
    st.sampled_from(
        [
            "arc-cosine(1)", "ntk", "deep-ntk(3)", "rbf(0.5)", "laplace", "stein", "exp(t)*t**2",
            "arc-cosine(9)", "rbf(-1)", "rbf(nan)", "deep-ntk", "1/t", "sqrt(t)", "log(1 - t)",
            "t**t", "__import__('os')", "exp(exp(exp(9*t)))", "lambda: 0", "9**9**9**9", "t.args",
        ]
    ),
    st.lists(
        st.sampled_from(["t", "1", "2", "+", "-", "*", "/", "**", "(", ")", "exp(", "log(", " "]),
        max_size=7,
    ).map("".join),
)  # fmt: skip
# Of each command: its arguments, and its options with values that are often right. Every run that
# could be long is kept out: a claim that exists meets no measurement, spectra are short.
COMMANDS = {
    "fit": (
        [st.sampled_from(("points.csv", "points.npy", "points.npz", *NAMES))],
        [
            ("--regime", st.sampled_from(["both", "active", "lazy", "eager"])),
            ("--objective", st.sampled_from(["likelihood", "ksd", "f1-sd", "denoising", "kl"])),
            ("--alpha", SMALL),
            ("--n-neurons", SMALL),
            ("--penalty", NUMBER),
            ("--normalize", None),
            ("--held-out", NUMBER),
            SEED,
            FOLDER,
            JSON,
        ],
    ),
    "sample": (
        [st.sampled_from(("model.npz", *NAMES))],
        [
            ("-n", SMALL),
            ("-n", st.just("3")),
            ("--out", st.sampled_from(["a.csv", "a.npy", "a.txt", "b/a.csv", "points.csv/a.npy"])),
            SEED,
        ],
    ),
    "score": (
        [
            st.sampled_from(("model.npz", *NAMES)),
            st.sampled_from(("points.csv", "points.npy", "points.npz", *NAMES)),
        ],
        [
            ("--normalize", None),
            ("--points", None),
            ("--out", st.sampled_from(["a.csv", "a.npy", "a", "folder.npy"])),
        ],
    ),
    "verify": (
        [st.sampled_from(["nothing", "", "MLE", "mle-one-neurn", "-"])],
        [("--preset", st.sampled_from(["quick", "paper", "big"])), SEED, ("--jobs", SMALL), FOLDER],
    ),
    "claims": ([], [FOLDER, JSON]),
    "movie": (
        [st.sampled_from(["nothing", "mle-one-neuron", ""])],
        [("--frames", SMALL), ("--fps", SMALL), SEED, FOLDER, ("--stills", SMALL)],
    ),
    "rates": (
        [],
        [
            ("--alpha", SMALL),
            ("--k", SMALL),
            ("--dim", SMALL),
            ("--metric", st.sampled_from(["kl", "ksd", "f1-sd", "tv"])),
            ("--latex", None),
            JSON,
        ],
    ),
    "spectrum": (
        [EXPRESSIONS],
        [
            ("--dim", st.integers(0, 12).map(str)),
            ("--dim", st.just("3")),
            ("--max-degree", st.integers(-1, 8).map(str)),
            ("--samples", st.integers(0, 30).map(str)),
            ("--features", st.integers(0, 30).map(str)),
            SEED,
            FOLDER,
            JSON,
        ],
    ),
    "curve": (
        [],
        [
            ("--weight", st.sampled_from(EXTREMES)),
            ("--weight", st.floats(-9, 9).map(str)),
            ("--dim", st.integers(0, 12).map(str)),
            ("--n", st.one_of(NUMBER, st.integers(1, 10**9).map(str))),
            ("--alpha", st.integers(0, 3).map(str)),
            ("--penalty", NUMBER),
            ("--time", NUMBER),
            JSON,
        ],
    ),
}
# So that most runs get beyond what is required.
REQUIRED = {"sample": ["-n", "3"], "spectrum": ["--dim", "3"], "curve": ["--weight=2", "--dim=5"]}


@st.composite
def command_lines(draw):
    name = draw(st.sampled_from(sorted(COMMANDS)))
    arguments, options = COMMANDS[name]
    line = [draw(argument) for argument in arguments]
    if draw(st.integers(0, 7)):
        line += REQUIRED.get(name, [])
    for option, values in draw(st.lists(st.sampled_from(options), max_size=4)):
        line.append(option)
        if values is not None:
            line.append(draw(values))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        line.insert(draw(st.integers(0, len(line))), draw(WORDS))
    if draw(st.integers(0, 30)) == 0:
        return line
    return [name, *line]


@contextlib.contextmanager
def within(seconds):
    """Fail instead of hanging."""

    def ring(*_):
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def require_whole(path):
    """Read a file that a command wrote, by its kind."""
    content = path.read_bytes()
    assert not path.name.startswith("."), f"left over: {path}"
    match path.suffix:
        case ".json":
            json.loads(content)
        case ".npz":
            load_model(path)
        case ".npy":
            np.load(path)
        case ".csv":
            assert content.endswith(b"\n")
        case ".sqlite":
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("SELECT count(*) FROM cells")
        case suffix:
            assert suffix in (".png", ".pdf"), path


def run(line, files):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("folder.npy").mkdir()
        for name, content in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content)
        before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
        with within(SECONDS):
            result = CliRunner().invoke(cli.main, line)
        command = line[0] if line and line[0] in COMMANDS else "no command"
        # With --hypothesis-show-statistics: how many got how far.
        event(f"{command}: exit code {result.exit_code}")
        assert result.exception is None or isinstance(result.exception, SystemExit), line
        assert result.exit_code in (0, 2, 3), (line, result.output)
        assert "Traceback" not in result.output, line
        if result.exit_code == 2:
            assert "Error" in result.stderr or "Usage" in result.stderr, line
        for path in Path().rglob("*"):
            if path.is_file() and path.stat().st_mtime_ns != before.get(path):
                require_whole(path)


@HOSTILE
@given(command_lines(), FILES)
def test_no_command_line_and_no_file_brings_it_down(line, files):
    run(line, files)


@HOSTILE
@given(st.data())
def test_no_model_file_brings_it_down(data):
    content = data.draw(mutated(VALID["model.npz"]))
    line = data.draw(
        st.sampled_from([["sample", "model.npz", "-n", "3"], ["score", "model.npz", "points.npy"]])
    )
    run(line, {"model.npz": content, "points.npy": VALID["points.npy"][0]})


@HOSTILE
@given(st.data())
def test_no_data_file_brings_it_down(data):
    name = data.draw(st.sampled_from(["points.npy", "points.npz", "points.csv"]))
    extra = data.draw(st.sampled_from([[], ["--normalize"]]))
    run(["fit", name, *extra], {name: data.draw(contents_of(name))})
