import numpy as np
import pytest
import sympy

from lazyactive.theory.prediction import KINDS, Prediction

n, w = sympy.symbols("n w", positive=True)


def test_evaluates_with_broadcasting():
    prediction = Prediction(w**2 * n ** sympy.Rational(-1, 4), "exact", "", "")
    sizes, weights = np.array([1, 16, 81]), np.array([[1.0], [2.0]])
    np.testing.assert_allclose(prediction(n=sizes, w=weights), weights**2 * sizes**-0.25)
    assert prediction.symbols == ("n", "w")


def test_integer_arguments_to_a_negative_power():
    assert Prediction(n**-2, "exact", "", "")(n=2) == 0.25


def test_special_functions_evaluate():
    assert Prediction(sympy.gamma(n), "exact", "", "")(n=5) == pytest.approx(24)


def test_latex():
    assert Prediction(1 / n, "exact", "", "").latex() == r"\frac{1}{n}"


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    assert Prediction(n, kind, "", "").kind == kind


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind must be one of .* got 'guess'"):
        Prediction(n, "guess", "", "")


@pytest.mark.parametrize("values", [{}, {"n": 1, "w": 2}, {"w": 1}])
def test_wrong_symbols_are_refused(values):
    with pytest.raises(ValueError, match=r"symbols must be exactly \(n\)"):
        Prediction(n, "exact", "", "")(**values)


def test_ambiguous_symbols_are_refused():
    with pytest.raises(ValueError, match="two symbols of one name"):
        Prediction(n + sympy.Symbol("n"), "exact", "", "")
