import numpy as np
import pytest
import sympy

from lazyactive.theory.rates import approximation_order, derive, neuron_rates, table

# Columns: alpha, dimension, exponent of the radius, slow rate, squared rate. Worked out by hand
# (minimise two powers of beta), independently of the code.
F1_AFFINE = """
0 1 0    1/2  1/2 | 0 2 1/6  1/3  2/5 | 0 3 1/4  1/4  1/3 | 0 4 3/10 1/5  2/7
1 1 1/4  1/4  1/3 | 1 2 3/10 1/5  2/7 | 1 3 1/3  1/6  1/4 | 1 4 5/14 1/7  2/9
2 1 1/3  1/6  1/4 | 2 2 5/14 1/7  2/9 | 2 3 3/8  1/8  1/5 | 2 4 7/18 1/9  2/11"""
F2_AFFINE = """
0 3 1/4  1/4  1/3 | 0 5 1/3  1/6  1/4 | 0 10 9/22  1/11 2/13 | 0 15 7/16 1/16 1/9
1 3 1/3  1/6  1/4 | 1 5 3/8  1/8  1/5 | 1 10 11/26 1/13 2/15 | 1 15 4/9  1/18 1/10
2 3 3/8  1/8  1/5 | 2 5 2/5  1/10 1/6 | 2 10 13/30 1/15 2/17 | 2 15 9/20 1/20 1/11"""
F2_SPHERE = """
0 3 1/6  1/3  2/5 | 0 5 3/10 1/5  2/7 | 0 10 2/5  1/10 1/6 | 0 15 13/30 1/15 2/17
1 3 3/10 1/5  2/7 | 1 5 5/14 1/7  2/9 | 1 10 5/12 1/12 1/7 | 1 15 15/34 1/17 2/19
2 3 5/14 1/7  2/9 | 2 5 7/18 1/9  2/11 | 2 10 3/7 1/14 1/8 | 2 15 17/38 1/19 2/21"""


def rows(text):
    for row in text.replace("|", "\n").split("\n"):
        if row.strip():
            alpha, dimension, *exponents = row.split()
            yield int(alpha), int(dimension), *map(sympy.Rational, exponents)


CASES = [
    *[("F1", "k", True, *row) for row in rows(F1_AFFINE)],
    *[("F2", "d", True, *row) for row in rows(F2_AFFINE)],
    *[("F2", "d", False, *row) for row in rows(F2_SPHERE)],
]


@pytest.mark.parametrize(
    ("space", "name", "constant", "alpha", "dim", "radius", "slow", "squared"), CASES
)
def test_tables(space, name, constant, alpha, dim, radius, slow, squared):
    rate = derive(space, alpha=alpha, **{name: dim}, constant_coordinate=constant)
    assert (rate.radius_exponent, rate.exponent) == (radius, slow)
    rate = derive(space, alpha=alpha, **{name: dim}, constant_coordinate=constant, form="squared")
    assert rate.exponent == squared


# Logarithms of both terms of each bound: powers of beta and of n, and the power of beta^(-1/x).
TERMS = {
    ("kl", "slow"): (1, -1 / 2, 1),
    ("kl", "squared"): (1, -1 / 2, 2),
    ("ksd", "slow"): (2, -1 / 2, 2),
    ("ksd", "squared"): (2, -1, 2),
    ("f1-sd", "slow"): (1, -1 / 2, 1),
}


@pytest.mark.parametrize(("metric", "form"), TERMS)
@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_exponents_by_brute_minimisation(metric, form, alpha, k):
    # The same balance on a grid of radii, at two sizes n: slopes are the exponents.
    order = float(approximation_order("F1", alpha=alpha, k=k, constant_coordinate=True))
    of_beta, of_n, power = TERMS[metric, form]
    log_n, log_beta = np.array([60.0, 90.0]), np.linspace(0, 60, 600001)
    risks = [
        np.logaddexp(of_beta * log_beta + of_n * size, -power / order * log_beta) for size in log_n
    ]
    rate = derive("F1", alpha=alpha, k=k, form=form, metric=metric)
    slope = np.diff([np.min(risk) for risk in risks])[0] / 30
    assert float(rate.exponent) == pytest.approx(-slope, abs=1e-6)
    radius = np.diff([log_beta[np.argmin(risk)] for risk in risks])[0] / 30
    assert float(rate.radius_exponent) == pytest.approx(radius, abs=1e-4)


def test_stein_discrepancies():
    alpha, k, d = sympy.symbols("alpha k d", positive=True)
    for metric in ("ksd", "f1-sd"):
        for space, dimension in (("F1", {"k": k}), ("F2", {"d": d})):
            # The exponent of the slow bound on KL, and twice that.
            slow = derive(space, alpha=alpha, **dimension, metric=metric).exponent
            assert sympy.simplify(slow - derive(space, alpha=alpha, **dimension).exponent) == 0
    fast = derive("F1", alpha=alpha, k=k, metric="ksd", form="squared")
    assert sympy.simplify(fast.exponent - 2 / (2 * alpha + k + 1)) == 0
    # A target in the ball: only the estimation is left.
    inside = {"alpha": 1, "k": 1, "constant_coordinate": False, "metric": "ksd"}
    assert derive("F1", **inside).exponent == sympy.Rational(1, 2)
    assert derive("F1", **inside, form="squared").exponent == 1
    assert derive("F1", **inside).prediction.name == "F1 slow bound on squared KSD"


def test_symbolic_dimensions():
    alpha, k, d = sympy.symbols("alpha k d", positive=True)
    cases = [
        (derive("F1", alpha=alpha, k=k), 1 / (2 * alpha + k + 1)),
        (derive("F1", alpha=alpha, k=k, form="squared"), 2 / (2 * alpha + k + 3)),
        (derive("F1", alpha=alpha, k=k, constant_coordinate=False), 1 / (2 * alpha + k)),
        (derive("F2", alpha=alpha, d=d), 1 / (2 * alpha + d + 1)),
        (derive("F2", alpha=alpha, d=d, constant_coordinate=False), 1 / (2 * alpha + d)),
        (
            derive("F2", alpha=alpha, d=d, constant_coordinate=False, form="squared"),
            2 / (2 * alpha + d + 2),
        ),
    ]
    for rate, expected in cases:
        assert sympy.simplify(rate.exponent - expected) == 0


@pytest.mark.parametrize("form", ["slow", "squared"])
@pytest.mark.parametrize("alpha", [0, 1, 3])
def test_homogeneous_target_on_a_line_lies_in_f1(alpha, form):
    rate = derive("F1", alpha=alpha, k=1, constant_coordinate=False, form=form)
    assert (rate.radius_exponent, rate.exponent) == (0, sympy.Rational(1, 2))


def test_prediction_is_the_bound():
    rate = derive("F1", alpha=1, k=3)
    assert rate.prediction.kind == "upper bound"
    assert rate.prediction(n=64.0) == pytest.approx(64 ** (-1 / 6))


@pytest.mark.parametrize(
    ("alpha", "d", "lazy", "minimax"),
    [
        (0, 3, "1/3", "3/5"),
        (0, 5, "1/5", "5/9"),
        (0, 10, "1/10", "10/19"),
        (0, 15, "1/15", "15/29"),
        (1, 3, "3/5", "5/7"),
        (1, 15, "3/17", "17/31"),
    ],
)
def test_neuron_rates(alpha, d, lazy, minimax):
    predictions = neuron_rates(alpha, d)
    exponents = {name: -sympy.log(p(n=sympy.E)) for name, p in predictions.items()}
    assert exponents["lazy"] == pytest.approx(float(sympy.Rational(lazy)))
    assert exponents["minimax"] == pytest.approx(float(sympy.Rational(minimax)))
    assert exponents["f1_bound"] == pytest.approx(0.5)
    assert exponents["parametric"] == pytest.approx(1)
    assert {name: p.kind for name, p in predictions.items()} == {
        "f1_bound": "upper bound",
        "lazy": "asymptotic",
        "minimax": "asymptotic",
        "parametric": "asymptotic",
    }


def test_neuron_rates_symbolically():
    alpha, d, n = sympy.symbols("alpha d n", positive=True)
    expression = neuron_rates(alpha, d)["lazy"].expression
    assert sympy.simplify(expression - n ** (-(2 * alpha + 1) / (d + 2 * alpha))) == 0


def test_table_lists_every_case():
    rates = table(1, [1, 2], [3, 15])
    keys = {(r.space, r.k or r.d, r.constant_coordinate, r.form) for r in rates}
    assert len(rates) == len(keys) == 16
    assert {r.metric for r in table(1, [1], [3], "ksd")} == {"ksd"}
    assert {r.form for r in table(1, [1], [3], "f1-sd")} == {"slow"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": "F3", "alpha": 1, "k": 1}, "space must be F1 or F2"),
        ({"space": "F1", "alpha": 1}, "k, and no other dimension, must be given for F1"),
        ({"space": "F1", "alpha": 1, "k": 1, "d": 3}, "k, and no other dimension"),
        ({"space": "F2", "alpha": 1, "k": 1}, "d, and no other dimension, must be given for F2"),
        ({"space": "F1", "alpha": 1, "k": 0}, "k must be an integer >= 1, got 0"),
        ({"space": "F2", "alpha": 1, "d": 1}, "d must be an integer >= 2, got 1"),
        ({"space": "F1", "alpha": -1, "k": 1}, "alpha must be an integer >= 0, got -1"),
        ({"space": "F1", "alpha": 1, "k": 1.5}, "k must be an integer >= 1, got 1.5"),
        ({"space": "F1", "alpha": 1, "k": 1, "form": "fast"}, "form must be slow or squared"),
        (
            {"space": "F1", "alpha": 1, "k": 1, "metric": "mmd"},
            "metric must be one of kl, ksd, f1-sd, got 'mmd'",
        ),
        (
            {"space": "F1", "alpha": 1, "k": 1, "metric": "f1-sd", "form": "squared"},
            "form must be slow, got 'squared'",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        derive(**arguments)
