import json
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

from lazyactive.experiments import figures, user_claims
from lazyactive.experiments.claim import ALL_CLAIMS, load
from lazyactive.experiments.cli import main
from lazyactive.experiments.store import source_digest

EXAMPLE = Path(__file__).parents[2] / "docs" / "my_claim.py"

CLAIM = """\
from lazyactive.experiments.claim import Claim, Preset, register

class Half(Claim):
    name = "half"
    statement = "The mean of a uniform number is one half."
    source = "nowhere"
    precision = 0.5
    presets = {"quick": Preset(({"n": 100}, {"n": 200}), 3)}

    def predict(self, condition):
        return {"mean": 0.5}

    def measure(self, condition, rng, settings):
        return {"mean": rng.random(condition["n"]).mean()}

register(Half())
"""


def verify(*arguments):
    return CliRunner().invoke(main, ["verify", *(str(a) for a in arguments)])


@pytest.fixture(autouse=True)
def _few_pixels(monkeypatch):
    monkeypatch.setitem(figures._STYLE, "savefig.dpi", 30)


@pytest.fixture
def write(tmp_path):
    """A function that writes a claim's file, edited by replacing old with new."""

    def make(*edits, name="my_claim.py", text=CLAIM):
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def test_the_example_of_the_readme_holds(tmp_path):
    assert len(EXAMPLE.read_text().splitlines()) < 40
    # Its intervals miss a right prediction with probability 1%, at this seed they don't.
    result = verify(EXAMPLE, "--out", tmp_path, "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert "verdict: holds" in result.stdout
    files = {path.name for path in (tmp_path / "frozen-width").iterdir()}
    assert files == {"figure.png", "figure.pdf", "results.csv", "summary.json"}


def test_the_example_can_fail(write, tmp_path):
    # Were the mean not taken off, the variance would be twice as large and more.
    edits = ("- mean**2", ""), ("repetitions=20", "repetitions=4")
    path = write(*edits, text=EXAMPLE.read_text())
    assert verify(path, "--out", tmp_path, "--jobs", 1).exit_code == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_workers_need_neither_the_file_nor_its_module(write, tmp_path, jobs):
    path = write(
        # Each process runs the file once; after the first one it is gone.
        ("class Half", "from pathlib import Path\nassert Path(__file__).name\n\nclass Half"),
        ("        return {\"mean\": rng", "        Path(__file__).unlink(missing_ok=True)\n"
                                         "        return {\"mean\": rng"),
    )  # fmt: skip
    result = verify(path, "--out", tmp_path / str(jobs), "--jobs", jobs)
    assert result.exit_code in (0, 3), result.output
    assert not path.exists()
    write()
    verify(path, "--out", tmp_path / "plain", "--jobs", 1)
    csv = [(tmp_path / out / "half" / "results.csv").read_bytes() for out in (str(jobs), "plain")]
    assert csv[0] == csv[1]
    assert csv[0].count(b"\n") == 7


def test_the_registry_stays_as_it_was(write):
    before = set(load())
    claim = user_claims.load(str(write()))
    assert claim.name == "half"
    assert set(ALL_CLAIMS) == before


def test_an_edit_is_measured_again(write, tmp_path):
    verify(write(), "--out", tmp_path, "--jobs", 1)
    assert "6/6 [00:00<?" in verify(write(), "--out", tmp_path, "--jobs", 1).stderr
    first = json.loads((tmp_path / "half" / "summary.json").read_text())
    verify(write(("rng.random", "2 * rng.random")), "--out", tmp_path, "--jobs", 1)
    second = json.loads((tmp_path / "half" / "summary.json").read_text())
    assert first["source_digest"] != second["source_digest"]
    means = [s["conditions"][0]["measured"]["mean"]["value"] for s in (first, second)]
    assert means[1] == 2 * means[0]


def test_what_was_read_is_what_is_digested_and_sent(write):
    path = write()
    claim = user_claims.load(str(path))
    before = source_digest(claim)
    write(("0.5}", "0.25}"))
    assert source_digest(claim) == before
    assert pickle.loads(pickle.dumps(claim)).predict({}) == {"mean": 0.5}
    edited = user_claims.load(str(path))
    assert edited.predict({}) == {"mean": 0.25}
    assert source_digest(edited) != before
    # Two texts under one name do not disturb each other.
    assert source_digest(claim) == before


def test_arguments_of_a_published_class_are_part_of_the_source(write):
    text = """\
from lazyactive.experiments.claim import load, register
known = load()["mle-one-neuron"]
own = type(known).__new__(type(known))
own.__dict__.update(vars(known), name="mine")
register(own)
"""
    first = user_claims.load(str(write(text=text)))
    second = user_claims.load(str(write(text=text + "own.weights = (3.0,)\n")))
    assert first.name == second.name == "mine"
    assert source_digest(first) != source_digest(second)
    assert load()["mle-one-neuron"].origin is None


def test_one_of_several_is_chosen(write):
    path = write(("register(Half())", "register(Half())\nHalf.name = 'other'\nregister(Half())"))
    for target, words in (
        (f"{path}", ["half, other", f"choose one, as in {path}:half"]),
        (f"{path}:third", ["half, other", "got 'third'"]),
    ):
        result = verify(target)
        assert result.exit_code == 2
        assert all(word in " ".join(result.stderr.split()) for word in words), result.stderr


def test_the_chosen_one_is_loaded(write):
    path = write(
        ("register(Half())", "class Third(Half):\n    name = 'third'\n\nregister(Half())\n"
                             "register(Third())")
    )  # fmt: skip
    assert user_claims.load(f"{path}:third").name == "third"
    assert user_claims.load(f"{path}:half").name == "half"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (("class Half(Claim):", "class Half(Claim:"), ["line 3", "SyntaxError"]),
        (("class Half", "import no_such_module\n\nclass Half"), ["line 3", "no_such_module"]),
        (("class Half", "1 / 0\n\nclass Half"), ["line 3", "ZeroDivisionError: division by zero"]),
        (("class Half", "raise SystemExit(3)\n\nclass Half"), ["line 3", "SystemExit: 3"]),
        (("register(Half())", ""), ["must register a claim", "register(MyClaim())"]),
        (("register(Half())", "register(Half)"), ["line 16", "register(MyClaim())"]),
        (('"half"', '"mle-one-neuron"'), ["line 16", "'mle-one-neuron' is registered already"]),
        (('"half"', '"../half"'), ["line 16", "Half.name must be letters", "'../half'"]),
        (('    source = "nowhere"\n', ""), ["line 15", "Half.source must be a text; got None"]),
        (("    precision = 0.5\n", ""), ["line 15", "Half.precision must be a positive number"]),
        (("presets =", "grids ="), ["line 16", "Half.presets must map 'quick'"]),
        (("def measure", "def gauge"), ["line 16", "TypeError", "measure"]),
        (("100}, {", "100, 'm': 1}, {"), ["line 8", "conditions must have the same keys"]),
        (("200", "100"), ["line 8", "conditions must differ"]),
        (("100}", "float('nan')}"), ["line 8", "finite numbers or strings", "'n': nan"]),
        ((", 3)", ", 0)"), ["line 8", "repetitions must be a number from 1; got 0"]),
        (
            ("precision", "reported = ('mean')\n    precision"),
            ["line 17", "Half.reported must be a tuple of names; got 'mean'"],
        ),
        (
            ("precision", "shared_keys = ('n')\n    precision"),
            ["line 17", "Half.shared_keys must be a tuple of keys"],
        ),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence(write, tmp_path, edit, words):
    path = write(edit)
    result = verify(path, "--out", tmp_path / "out")
    message = " ".join(result.stderr.split())
    assert result.exit_code == 2, result.output
    assert "Traceback" not in message
    assert all(word in message for word in ["my_claim.py", *words]), message
    assert not (tmp_path / "out").exists()
    assert set(ALL_CLAIMS) == set(load())
    assert "half" not in ALL_CLAIMS


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda p: p.write_bytes(b"\xff")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, make):
    path = tmp_path / "absent.py"
    make(path)
    result = verify(path)
    assert result.exit_code == 2
    assert "must be a text that can be read" in result.stderr


def test_a_preset_that_the_claim_lacks(write):
    result = verify(write(), "--preset", "paper")
    assert result.exit_code == 2
    assert "half has the preset quick; got 'paper'" in result.stderr


def test_an_exception_in_measure_is_a_failed_cell_with_its_line(write, tmp_path):
    path = write(
        ('return {"mean": rng', 'raise ArithmeticError("no")\n        return {"mean": rng')
    )
    result = verify(path, "--out", tmp_path, "--jobs", 2)
    assert result.exit_code == 3
    assert "ArithmeticError: no" in result.stderr
    assert f'File "{path}", line 14, in measure' in result.stderr
    assert 'raise ArithmeticError("no")' in result.stderr
