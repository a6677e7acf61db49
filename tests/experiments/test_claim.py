import subprocess
import sys

import pytest

from lazyactive.experiments import claim
from lazyactive.experiments.claim import Check, Result, Verdict, load, register, select, values


def check(outcome):
    return Check("name", "statement", 0.0, None, 0.0, outcome)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["undecided", "fails", "holds"], "fails"),
        ([], "undecided"),
    ],
)
def test_the_worst_check_decides(outcomes, expected):
    assert Verdict(tuple(check(o) for o in outcomes)).outcome == expected


@pytest.mark.parametrize("member", load().values(), ids=list(load()))
def test_every_registered_claim_is_complete(member):
    assert set(member.presets) == {"quick", "paper"}
    assert member.source
    assert member.statement.endswith(".")
    assert claim.get(member.name) is member
    for preset in member.presets.values():
        keys = {tuple(condition) for condition in preset.conditions}
        assert len(keys) == 1
        assert set(member.shared_keys) <= set(keys.pop())
        cells = [tuple(condition.items()) for condition in preset.conditions]
        assert len(set(cells)) == len(cells)
        assert preset.repetitions >= 2  # one repetition has no interval
        assert all(member.cost(condition) > 0 for condition in preset.conditions)


def test_unknown_name_is_answered_with_close_ones():
    with pytest.raises(ValueError, match=r"mle-one-neuron.*got 'mle-one-neurn'"):
        claim.get("mle-one-neurn")


def test_a_name_is_taken_once(fake):
    member = fake()
    with pytest.raises(ValueError, match="'fake' is registered already"):
        register(member)


def test_select_orders_by_repetition():
    results = [Result({"n": n, "w": 2.0}, r, {"y": 10 * n + r}) for r in (2, 0, 1) for n in (1, 2)]
    assert values(select(results, n=2, w=2.0), "y") == [20, 21, 22]
    assert select(results, n=3) == []


def test_listing_claims_imports_nothing_heavy():
    code = (
        "import sys; from lazyactive.experiments import cli, claim; claim.load(); "
        "print([m for m in ('numpy', 'scipy', 'sympy', 'numba', 'matplotlib', 'joblib')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
