import csv
import json
import math
import warnings

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner

from lazyactive.experiments.cli import main
from lazyactive.experiments.profiles import measured_profile
from lazyactive.experiments.spectrum import compute, resolve, slug
from lazyactive.experiments.spectrum_table import decay, number, summary, table
from lazyactive.theory import kernels
from lazyactive.theory.kernels import ALL_KERNELS


def invoke(out, *arguments):
    with warnings.catch_warnings():
        # A warning of Python is noise on the command line; deprecations are not shown there.
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        return CliRunner().invoke(main, ["spectrum", *map(str, arguments), "--out", str(out)])


@pytest.mark.parametrize("name", ALL_KERNELS)
@pytest.mark.parametrize("d", [2, 3, 10])
def test_the_measured_profile_is_the_theory_s(name, d):
    kernel = ALL_KERNELS[name]
    u = np.array([-0.99, -0.5, 0.0, 0.3, 0.875])
    expected = [float(kernel.profile(x, d)) for x in u]
    np.testing.assert_allclose(measured_profile(kernel, d)(u), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["arc-cosine(2,gaussian)", "leaky-relu(2,0.5,0)", "deep-ntk(5)",
                                  "rbf(0.5)", "laplace(3)", "stein(rbf(2))"])  # fmt: skip
def test_parameters_reach_both_sides(name):
    spectrum = compute(resolve(name), 4, 10)
    exact = np.exp(spectrum.log_exact)
    # The theory promises 1e-10 in float64.
    assert np.all(np.abs(spectrum.quadrature - exact) <= spectrum.errors + 1e-10 * exact)
    assert spectrum.first_negative_degree is None


def test_an_expression_and_the_kernel_it_spells_have_one_spectrum():
    typed = compute(resolve("exp(4*(t - 1))"), 6, 20)
    named = compute(resolve("rbf(0.5)"), 6, 20)
    assert np.all(np.abs(typed.quadrature - named.quadrature) <= typed.errors + named.errors)
    assert typed.trace == named.trace == 1.0
    known = ~np.isnan(typed.shares)
    assert known[:10].all()
    # The shares of a named kernel are exact; multiplied by N, the errors are larger here.
    np.testing.assert_allclose(typed.shares[known], named.shares[known], rtol=0.0, atol=1e-11)


def test_shares_add_up_to_the_trace():
    # kappa(t) = t^2 has 1/d in degree 0 and the rest in degree 2.
    shares = compute(resolve("t**2"), 5, 4).shares
    np.testing.assert_allclose(shares[[0, 2]], [0.2, 0.8], rtol=1e-14)
    assert np.isnan(shares[[1, 3, 4]]).all()
    named = compute(resolve("arc-cosine(2)"), 3, 400)
    # The tail of N mu_k ~ k^-6 beyond 400 is below 1e-12.
    assert named.shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert table(named).splitlines()[-1].startswith("degrees 0 to 400 hold 1 of the trace")


# 1/(1 - t) is integrable in R^6, and infinite at 1.
@pytest.mark.parametrize("text", ["1 - t", "-t", "1/(1 - t)"])
def test_a_trace_that_is_no_positive_number_has_no_shares(text):
    spectrum = compute(resolve(text), 6, 3)
    assert np.isnan(spectrum.shares).all()
    assert "no shares" in table(spectrum).splitlines()[-1]
    assert summary(spectrum)["share_of_trace"] is None


@pytest.mark.parametrize(("text", "degree"), [("-t", 1), ("1 - t**2/3", 2), ("exp(t) - 2*t**5", 3)])
def test_the_first_negative_degree_is_reported(text, degree):
    # In R^3: t^2 = 1/3 + 2/3 P_2 and t^5 = 3/7 P_1 + 4/9 P_3 + 8/63 P_5, where N_k mu_k is the
    # coefficient of P_k. At degree 1, exp(t) has E[t exp(t)] = 1/e > 2/7; at degree 3 it has less.
    assert compute(resolve(text), 3, 6).first_negative_degree == degree


def test_measured_eigenvalues_agree_with_the_exact_ones():
    spectrum = compute(resolve("arc-cosine(1)"), 6, 4, samples=500, features=400, seed=3)
    exact = np.exp(spectrum.log_exact)
    for measured, size in (
        (spectrum.measured["samples"], 500),
        (spectrum.measured["features"], 400),
    ):
        assert measured.size == size
        for k, multiplicity in ((0, 1), (1, 6), (2, 20)):
            assert measured.multiplicities[k] == multiplicity
            # Six comparisons at 4 standard errors: false alarm in 4e-4 of all seeds.
            assert abs(measured.values[k] - exact[k]) < 4 * measured.standard_errors[k]
    values = [list(m.values.values())[:3] for m in spectrum.measured.values()]
    assert values[0] != values[1]


def test_points_and_features_are_drawn_apart_and_seeded():
    kernel = resolve("arc-cosine(1)")
    both = compute(kernel, 4, 2, samples=60, features=60, seed=1)
    alone = compute(kernel, 4, 2, features=60, seed=1)
    other = compute(kernel, 4, 2, features=60, seed=2)
    assert both.measured["features"] == alone.measured["features"]
    assert both.measured["samples"] != both.measured["features"]
    assert alone.measured["features"] != other.measured["features"]


@pytest.mark.parametrize("logarithm", [0.0, -3.7, 650.0, -745.2, -2000.0, 5000.0, -1e6])
def test_numbers_beyond_floats_are_printed(logarithm):
    with mpmath.workdps(30):
        exact = mpmath.exp(mpmath.mpf(logarithm))
        shown = mpmath.mpf(number(logarithm))
        # Six digits, and the rounding of the logarithm itself.
        assert abs(shown / exact - 1) < 5.1e-6
    assert number(-math.inf) == "0"


def test_decay_in_words():
    assert decay(kernels.get("rbf"), 5) == "mu_k falls faster than any power of k"
    # A(3, 1/2, k) ~ 1/(2 sqrt 2) k^-3 ... times sqrt 2.
    assert decay(kernels.get("laplace"), 3) == "mu_k ~ 0.5 k^-3 on all degrees"
    text = decay(kernels.get("arc-cosine(1)"), 15)
    assert text.endswith("k^-17 on even degrees, 0 on odd degrees")


def test_the_table_prints_what_a_float_cannot_hold(tmp_path):
    result = invoke(tmp_path, "rbf", "--dim", 1000, "--max-degree", 200)
    assert result.exit_code == 0, result.output
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith("   200 "))
    nu = 499
    with mpmath.workdps(30):
        exact = mpmath.exp(-1) * 2**nu * mpmath.gamma(500) * mpmath.besseli(200 + nu, 1)
        assert abs(mpmath.mpf(row[2]) / exact - 1) < 1e-5
    data = json.loads((tmp_path / "spectrum-rbf-1-d1000" / "summary.json").read_text())
    assert data["degrees"][200]["exact"] == 0.0
    assert data["degrees"][200]["log_exact"] == pytest.approx(float(mpmath.log(exact)), rel=1e-12)


def test_the_command_writes_four_files_and_prints_the_table(tmp_path):
    result = invoke(tmp_path, "arc-cosine(1)", "--dim", 5, "--samples", 300, "--seed", 7)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "spectrum-arc-cosine-1-d5"
    assert f"written to {folder}" in result.stdout
    files = {path.name for path in folder.iterdir()}
    assert files == {"figure.png", "figure.pdf", "spectrum.csv", "summary.json"}
    data = json.loads((folder / "summary.json").read_text())
    assert (data["d"], data["max_degree"], data["samples"], data["seed"]) == (5, 12, 300, 7)
    assert data["features"] is None
    assert set(data["versions"]) >= {"lazyactive", "numpy"}
    assert data["decay_exponent"] == 7.0
    with open(folder / "spectrum.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["multiplicity"]) for row in rows[:3]] == [1, 5, 14]
    assert float(rows[1]["exact"]) == pytest.approx(0.01, rel=1e-13)
    # Zero by parity, which has no logarithm.
    assert (rows[3]["exact"], rows[3]["log_exact"]) == ("0.0", "")
    line = next(line.split() for line in result.stdout.splitlines() if line.startswith("     3 "))
    assert line[2] == "0"


def test_json_is_all_that_is_on_stdout(tmp_path):
    arguments = ("exp(t)*t**2", "--dim", 5, "--max-degree", 3, "--json")
    data = json.loads(invoke(tmp_path, *arguments).stdout)
    folder = tmp_path / f"spectrum-{slug(resolve('exp(t)*t**2'), 5)}"
    assert data == json.loads((folder / "summary.json").read_text())
    assert data["positive_definite"] is True
    assert data["first_negative_degree"] is None
    assert "exact" not in data["degrees"][0]
    assert data["trace"] == pytest.approx(math.e)


def test_a_kernel_that_is_not_positive_definite_warns_in_one_line(tmp_path):
    result = invoke(tmp_path, "1 - t", "--dim", 4, "--max-degree", 2, "--json")
    assert result.exit_code == 0
    lines = [line for line in result.stderr.splitlines() if "ompil" not in line]
    assert len(lines) == 1
    assert "not positive definite in dimension 4" in lines[0]
    assert "degree 1 is -0.25" in lines[0]
    data = json.loads(result.stdout)
    assert data["positive_definite"] is False
    assert data["first_negative_degree"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["laplac", "--dim", "3"], ["KERNEL", "laplace(1)", "'laplac'"]),
        (["rbf(-1)", "--dim", "3"], ["KERNEL", "scale", "-1"]),
        (["deep-ntk(1)", "--dim", "3"], ["KERNEL", "depth", "1"]),
        (["x*t + y", "--dim", "3"], ["KERNEL", "no symbol but t", "x, y"]),
        (["t^2", "--dim", "3"], ["KERNEL", "**"]),
        (["log(t)", "--dim", "3"], ["KERNEL", "must be finite", "nan"]),
        (["sqrt(t)", "--dim", "3"], ["KERNEL", "must be finite", "nan"]),
        (["rbf", "--dim", "1"], ["--dim", "1", "x>=2"]),
        (["rbf", "--dim", "3", "--max-degree", "-1"], ["--max-degree", "-1"]),
        (["rbf", "--dim", "3", "--samples", "1"], ["--samples", "1"]),
        (["rbf", "--dim", "3", "--features", "9"], ["arc-cosine(n)", "rbf(1)"]),
        (["t", "--dim", "3", "--features", "9"], ["arc-cosine(n)", "got t"]),
        (["arc-cosine(1,gaussian)", "--dim", "3", "--features", "9"], ["sphere", "gaussian"]),
        (["stein(arc-cosine(1))", "--dim", "3"], ["KERNEL", "numerics can measure"]),
        (["rbf"], ["--dim"]),
    ],
)
def test_bad_usage_is_named_and_exits_with_2(tmp_path, arguments, words):
    result = invoke(tmp_path, *arguments)
    assert result.exit_code == 2, result.output
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


def test_a_folder_that_cannot_be_written_is_bad_usage(tmp_path):
    (tmp_path / "file").write_text("")
    result = invoke(tmp_path / "file" / "out", "rbf", "--dim", 3)
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_list_names_the_registry():
    result = CliRunner().invoke(main, ["spectrum", "--list"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(ALL_KERNELS)
    # The help, which imports no kernel, must name every family.
    text = CliRunner().invoke(main, ["spectrum", "--help"]).stdout
    assert all(family in text for family in kernels.FAMILIES)


def test_no_two_expressions_share_a_folder():
    names = {slug(resolve(text), 3) for text in ("t + 1", "t - 1", "t*exp(t)", "t**exp(t)")}
    assert len(names) == 4
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-") for name in names)


@pytest.mark.parametrize("degree", [0, 1])
def test_small_spectra_draw(tmp_path, degree):
    assert invoke(tmp_path, "t", "--dim", 2, "--max-degree", degree).exit_code == 0


def test_a_multiplicity_too_large_for_json_is_null():
    data = summary(compute(resolve("arc-cosine(0)"), 1000, 20))
    assert data["degrees"][2]["multiplicity"] == 1000 * 1001 // 2 - 1
    assert data["degrees"][20]["multiplicity"] is None
    assert data["degrees"][20]["log_multiplicity"] > 53 * math.log(2)


def test_a_slow_step_is_announced(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lazyactive.experiments.spectrum.spectra.nystrom", _refuse)
        result = invoke(tmp_path, "rbf", "--dim", 3, "--samples", 4000)
    assert "Diagonalizing a 4000 x 4000 matrix" in result.stderr
    assert "not today" in result.stderr


def _refuse(X, profile):
    raise ValueError("not today")
