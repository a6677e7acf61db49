import pytest

from lazyactive.experiments.claim import (
    ALL_CLAIMS,
    Check,
    Claim,
    Preset,
    Verdict,
    get,
    load,
    register,
)


def make_claim(
    name="fake",
    *,
    outcome="holds",
    failing_n=None,
    settings=None,
    repetitions=3,
    sizes=(10, 20),
    base=Claim,
):
    # A local class is pickled by value, so that workers need not import the tests.
    class Fake(base):
        source = "nobody2026, section 0"
        statement = "A mean of n squared normal numbers is one."
        shared_keys = ("method",)
        reported = ("y",)

        def __init__(self):
            self.name = name
            grid = tuple({"n": n, "method": m} for n in sizes for m in ("a", "b"))
            self.presets = {
                "quick": Preset(grid, repetitions, settings or {"scale": 1.0}),
                "paper": Preset(grid, repetitions + 1, settings or {"scale": 1.0}),
            }

        def predict(self, condition):
            return {"y": 1.0}

        def measure(self, condition, rng, settings):
            if condition["n"] == failing_n:
                raise ArithmeticError("no such number")
            data = rng.standard_normal(condition["n"])
            shift = {"a": 0.0, "b": 0.125}[condition["method"]]
            y = settings["scale"] * float((data**2).mean() + shift)
            return {"y": y, "first": data[0]}

        def verdict(self, results):
            return Verdict((Check("mean", "the mean is one", 1.0, None, 1.0, outcome),))

        def draw(self, results, figure):
            axes = figure.add_subplot()
            axes.plot([r.condition["n"] for r in results], [r.values["y"] for r in results], "o")

    return Fake()


@pytest.fixture
def fake():
    """A factory of small claims that are registered for the duration of one test."""
    load()
    names = set(ALL_CLAIMS)

    def make(**options):
        return register(make_claim(**options))

    yield make
    for name in set(ALL_CLAIMS) - names:
        del ALL_CLAIMS[name]


@pytest.fixture(scope="module")
def published():
    """Published claims by name. What one of them predicts is computed once for a module."""
    with pytest.MonkeyPatch.context() as patch:
        known = {}

        def remembering(name):
            claim = get(name)
            if name not in known:
                known[name] = {}
                predict = claim.predict

                def once(condition):
                    key = tuple(condition.items())
                    if key not in known[name]:
                        known[name][key] = predict(condition)
                    return dict(known[name][key])

                patch.setattr(claim, "predict", once)
            return claim

        yield remembering
