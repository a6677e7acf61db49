import json

import pytest
from click.testing import CliRunner

from lazyactive.experiments.cli import main
from lazyactive.experiments.curve_command import curve_rows
from lazyactive.theory.learning_curves import early_stopping, sandwich, weak


def run(*arguments):
    return CliRunner().invoke(main, ["curve", *arguments])


def test_rows_are_the_predictions():
    rows = curve_rows(-5.0, 5, (1000, 300), time=100.0)
    assert [row["n"] for row in rows] == [300, 1000]
    for row in rows:
        assert row["lazy"] == pytest.approx(sandwich(-5, 5, row["n"]), rel=1e-12)
        assert row["lazy"] == pytest.approx(row["bias"] + row["variance"], rel=1e-12)
        assert row["weak"] == pytest.approx(weak(-5, 5, row["n"]), rel=1e-12)
        assert row["stopped"] == pytest.approx(early_stopping(-5, 5, row["n"], 100.0), rel=1e-12)
        assert row["active"] == 5 / (2 * row["n"])


def test_a_given_penalty_is_used():
    (row,) = curve_rows(2.0, 3, (100,), alpha=2, penalty=0.01)
    assert row["penalty"] == 0.01
    assert row["lazy"] == pytest.approx(sandwich(2, 3, 100, 2, 0.01), rel=1e-12)


def test_table_and_json_agree():
    table = run("--weight", "10", "--dim", "15", "--n", "300", "--n", "1000")
    assert table.exit_code == 0
    assert "0.1267" in table.output
    assert "stopped" not in table.output
    data = json.loads(run("--weight", "10", "--dim", "15", "--n", "300", "--json").output)
    assert data[0]["lazy"] == pytest.approx(0.126737591, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weight", "0", "--dim", "5"), "weight must be a finite number other than 0"),
        (("--weight", "nan", "--dim", "5"), "weight must be a finite number other than 0"),
        (("--weight", "2", "--dim", "1"), "'--dim'"),
        (("--weight", "2", "--dim", "2", "--penalty", "1e-30"), "harmonic degrees"),
        (("--dim", "5"), "--weight"),
    ],
)
def test_bad_usage(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("weight", ["1e4", "-1e6", "1e153", "1e-9", "-1e-300"])
def test_weights_beyond_reach_are_refused(weight):
    result = CliRunner().invoke(main, ["curve", "--weight", weight, "--dim", "5"])
    assert result.exit_code == 2
    assert "weight must be between 1e-06 and 1000 in absolute value" in result.stderr


@pytest.mark.parametrize("time", ["5e-217", "1e-9", "1e9"])
def test_times_beyond_reach_are_refused(time):
    result = CliRunner().invoke(main, ["curve", "--weight", "2", "--dim", "5", "--time", time])
    assert result.exit_code == 2
    assert "time must be between 1e-06 and 1e+06" in result.stderr


def test_no_nan_is_printed(monkeypatch):
    from lazyactive.theory import learning_curves

    monkeypatch.setattr(learning_curves, "weak", lambda *_: float("nan"))
    result = CliRunner().invoke(main, ["curve", "--weight", "2", "--dim", "5", "--n", "100"])
    assert result.exit_code == 2
    assert "weak can't be computed in float64 for n = 100" in result.stderr


def test_a_size_beyond_float64_is_refused():
    result = run("--weight", "2", "--dim", "5", "--n", "9" * 400)
    assert result.exit_code == 2
    assert "'--n'" in result.stderr
