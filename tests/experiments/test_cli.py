import csv
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lazyactive.experiments.claim import Preset
from lazyactive.experiments.cli import main


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def verify(out, *arguments, name="fake"):
    return invoke("verify", name, "--out", out, "--jobs", 1, *arguments)


@pytest.mark.parametrize(("outcome", "code"), [("holds", 0), ("fails", 1), ("undecided", 3)])
def test_the_exit_code_is_the_verdict(fake, tmp_path, outcome, code):
    fake(outcome=outcome)
    result = verify(tmp_path)
    assert result.exit_code == code, result.output
    assert f"verdict: {outcome}" in result.stdout
    assert json.loads((tmp_path / "fake" / "summary.json").read_text())["verdict"] == outcome


def test_verify_writes_four_files_and_prints_the_table(fake, tmp_path):
    fake()
    result = verify(tmp_path)
    files = {path.name for path in (tmp_path / "fake").iterdir()}
    assert files == {"figure.png", "figure.pdf", "results.csv", "summary.json"}
    assert (tmp_path / "results.sqlite").exists()
    with open(tmp_path / "fake" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    cells = [float(row["y"]) for row in rows if row["n"] == "20" and row["method"] == "b"]
    assert f"{sum(cells) / 3:.4g}" in result.stdout
    # Progress is for the eyes, the table may be piped.
    assert "12/12" in result.stderr
    assert "12/12" not in result.stdout


def test_json_is_all_that_is_on_stdout(fake, tmp_path):
    fake(repetitions=1)
    summary = json.loads(verify(tmp_path, "--json").stdout)
    assert summary == json.loads((tmp_path / "fake" / "summary.json").read_text())
    assert summary["claim"] == "fake"
    assert summary["preset"] == "quick"
    assert summary["seed"] == 0
    assert set(summary["versions"]) >= {"lazyactive", "python", "numpy", "numba"}
    # One repetition has no interval: infinity is no JSON.
    assert summary["conditions"][0]["measured"]["y"]["low"] is None
    assert summary["conditions"][0]["predicted"] == {"y": 1.0}


def test_a_resumed_run_measures_nothing_and_writes_the_same_numbers(fake, tmp_path):
    claim = fake()
    verify(tmp_path)
    before = (tmp_path / "fake" / "results.csv").read_bytes()

    def never(self, condition, rng, settings):
        raise AssertionError("measured again")

    type(claim).measure = never
    assert verify(tmp_path).exit_code == 0
    assert (tmp_path / "fake" / "results.csv").read_bytes() == before
    claim.presets["quick"] = Preset(claim.presets["quick"].conditions, 3, {"scale": 2.0})
    assert verify(tmp_path).exit_code == 3


def test_the_seed_changes_the_numbers(fake, tmp_path):
    fake()
    verify(tmp_path / "0")
    verify(tmp_path / "1", "--seed", 1)
    csvs = {(tmp_path / s / "fake" / "results.csv").read_bytes() for s in "01"}
    assert len(csvs) == 2


def test_a_failed_cell_leaves_the_claim_undecided(fake, tmp_path):
    claim = fake()
    verify(tmp_path)
    verify(tmp_path, "--seed", 1)
    measure = type(claim).measure

    def stumble(self, condition, rng, settings):
        if condition["n"] == 10:
            raise ArithmeticError("no such number")
        return measure(self, condition, rng, settings)

    type(claim).measure = stumble
    result = verify(tmp_path, "--seed", 2)
    assert result.exit_code == 3
    message = "Failed: {'n': 10, 'method': 'a'}, repetition 0: ArithmeticError: no such number"
    assert message in result.stderr
    summary = json.loads((tmp_path / "fake" / "summary.json").read_text())
    assert summary["verdict"] == "undecided"
    assert len(summary["failures"]) == 6
    # The figure of the earlier run is not left to pass for one of this run.
    assert not (tmp_path / "fake" / "figure.png").exists()
    assert (tmp_path / "fake" / "results.csv").read_bytes().count(b"\n") == 7


def test_a_crash_is_not_the_exit_code_of_a_failing_claim(fake, tmp_path):
    claim = fake()
    type(claim).verdict = lambda self, results: 1 / 0
    assert verify(tmp_path).exit_code == 70


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "mle-one-neurn"], ["mle-one-neuron", "'mle-one-neurn'"]),
        (["verify", "mle-one-neuron", "--jobs", "0"], ["--jobs", "0", "x>=1"]),
        (["verify", "mle-one-neuron", "--jobs", "two"], ["--jobs", "'two'", "integer"]),
        (["verify", "mle-one-neuron", "--seed", "-1"], ["--seed", "-1", "x>=0"]),
        (["verify", "mle-one-neuron", "--preset", "big"], ["--preset", "'big'", "quick"]),
        (["rates", "--alpha", "-1"], ["--alpha", "-1", "x>=0"]),
        (["rates", "--dim", "1"], ["--dim", "1", "x>=2"]),
    ],
)
def test_bad_usage_is_named_and_exits_with_2(arguments, words):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not result.stdout


def test_a_folder_that_cannot_be_written_is_bad_usage(fake, tmp_path):
    fake()
    # Below a regular file: a folder without permission would not stop root.
    (tmp_path / "file").write_text("")
    result = verify(tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "--out" in result.stderr
    assert "can be written" in result.stderr
    assert str(tmp_path / "file" / "out") in result.stderr


def test_a_store_of_another_kind_is_bad_usage(fake, tmp_path):
    fake()
    (tmp_path / "results.sqlite").write_text("this is a letter, and not a database\n" * 100)
    result = verify(tmp_path)
    assert result.exit_code == 2
    assert "results.sqlite" in result.stderr


def test_claims_lists_the_last_verdict(fake, tmp_path):
    fake(outcome="fails")
    listed = json.loads(invoke("claims", "--json", "--out", tmp_path).stdout)
    assert {entry["name"] for entry in listed} >= {"mle-one-neuron", "fake"}
    assert all(entry["last"] is None for entry in listed)
    verify(tmp_path, "--seed", 4)
    listed = json.loads(invoke("claims", "--json", "--out", tmp_path).stdout)
    last = next(entry["last"] for entry in listed if entry["name"] == "fake")
    assert last == {"verdict": "fails", "preset": "quick", "seed": 4}
    text = invoke("claims", "--out", tmp_path).stdout
    assert "fake  [fails (quick, seed 4)]" in text
    assert "nobody2026" in text


def test_rates_in_three_styles():
    arguments = ["rates", "--alpha", "1", "--k", "2", "--dim", "15"]
    text = invoke(*arguments).stdout
    assert len(text.splitlines()) == 2 + 8
    rows = json.loads(invoke(*arguments, "--json").stdout)
    found = {(r["space"], r["constant_coordinate"], r["form"]): r["error_exponent"] for r in rows}
    # From the literature: n^{-1/(2 alpha + k + 1)} for F1, n^{-1/(2 alpha + d + 1)} for F2, and
    # without a constant coordinate one dimension less.
    assert found["F1", True, "slow"] == "-1/5"
    assert found["F2", True, "slow"] == "-1/18"
    assert found["F2", False, "slow"] == "-1/17"
    latex = invoke(*arguments, "--latex").stdout
    assert r"$n^{-1/18}$" in latex
    assert latex.count(r"\\") == 1 + 8
    rows = json.loads(invoke(*arguments, "--metric", "ksd", "--json").stdout)
    found = {(r["space"], r["constant_coordinate"], r["form"]): r["error_exponent"] for r in rows}
    assert found["F1", True, "squared"] == "-2/5"
    assert {r["metric"] for r in rows} == {"ksd"}


@pytest.mark.parametrize(
    "command",
    [[], ["verify"], ["claims"], ["rates"], ["spectrum"], ["movie"], ["report"], ["curve"]],
)
def test_help_teaches_with_an_example(command):
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    assert "lazyactive verify mle-one-neuron" in result.stdout or "Example" in result.stdout


@pytest.mark.parametrize(
    "command", ["verify", "spectrum", "movie", "report", "fit", "sample", "score", "curve"]
)
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys; from lazyactive.experiments.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'sympy', 'numba', 'matplotlib', 'joblib', 'sklearn', 'tqdm'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("heavy: []")


def test_a_reader_that_has_gone_is_no_crash():
    code = "from lazyactive.experiments.cli import main; main(['rates'])"
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run.stdout.close()
    assert run.stderr.read() == b""
    assert run.wait() == 141
