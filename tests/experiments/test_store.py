import sqlite3
import sys

import pytest

from lazyactive.experiments import store as module
from lazyactive.experiments.claim import Claim, Result
from lazyactive.experiments.store import Store, canonical_json, cell_key, configuration

VALUES = {"tenth": 0.1, "third": 1 / 3, "tiny": 5e-324, "huge": 1.7976931348623157e308, "one": 1.0}


def test_values_come_back_bit_by_bit(tmp_path):
    result = Result({"w": 2.0, "n": 10, "method": "lazy"}, 3, VALUES, 0.25)
    with Store(tmp_path / "r.sqlite") as store:
        store.add("key", "fake", "configuration", 2**70, result)
        assert store.find("other") is None
    with Store(tmp_path / "r.sqlite") as store:
        found = store.find("key")
    assert found == result
    assert {k: v.hex() for k, v in found.values.items()} == {k: v.hex() for k, v in VALUES.items()}
    assert list(found.values) == list(VALUES)
    assert [type(v) for v in found.condition.values()] == [float, int, str]


def test_a_cell_is_committed_before_add_returns(tmp_path):
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        store.add("key", "fake", "configuration", 1, Result({"n": 1}, 0, {"y": 2.0}, 0.5))
        other = sqlite3.connect(path)
        row = other.execute("SELECT claim, condition, repetition, seed FROM cells").fetchall()
        assert row == [("fake", '{"n": 1}', 0, "1")]
        # FULL or EXTRA: the journal is synchronized to disk at every commit.
        assert store._connection.execute("PRAGMA synchronous").fetchone()[0] >= 2
        other.close()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(tmp_path, bad):
    with Store(tmp_path / "r.sqlite") as store:
        with pytest.raises(ValueError, match="not JSON compliant"):
            store.add("key", "fake", "configuration", 1, Result({"n": 1}, 0, {"y": bad}, 0.5))
        assert store.find("key") is None


def test_a_file_of_another_kind_is_refused_and_kept(tmp_path):
    path = tmp_path / "r.sqlite"
    path.write_text("this is a letter, and not a database\n" * 100)
    with pytest.raises(ValueError, match=r"store must be a SQLite file.*r\.sqlite"):
        Store(path)
    assert path.read_text().startswith("this is a letter")


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": 1, "a": 0.1}) == canonical_json({"a": 0.1, "b": 1})
    assert canonical_json({"a": 1}) != canonical_json({"a": 1.0})


def test_every_argument_enters_the_key():
    keys = {
        cell_key("c", {"n": 1}, 0, 0),
        cell_key("d", {"n": 1}, 0, 0),
        cell_key("c", {"n": 2}, 0, 0),
        cell_key("c", {"n": 1}, 1, 0),
        cell_key("c", {"n": 1}, 0, 1),
    }
    assert len(keys) == 5


def test_configuration_follows_settings_name_and_versions(fake, monkeypatch):
    first, second = fake(), fake(name="other")
    digests = {
        configuration(first, {"points": 10}),
        configuration(first, {"points": 11}),
        configuration(second, {"points": 10}),
    }
    assert configuration(first, {"points": 10}) in digests
    monkeypatch.setattr(module, "versions", lambda: {"lazyactive": "9.9.9"})
    digests.add(configuration(first, {"points": 10}))
    assert len(digests) == 4


def test_configuration_follows_the_source(fake, monkeypatch, tmp_path):
    for file in ("numerics/a.py", "numerics/sub/b.py", "experiments/sweep.py", "theory/c.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x = 1\n")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    claim = fake()
    before = configuration(claim, {})
    # A measurement may not use theory, so an edit there keeps the results.
    (tmp_path / "theory/c.py").write_text("x = 2\n")
    assert configuration(claim, {}) == before
    (tmp_path / "numerics/sub/b.py").write_text("x = 2\n")
    after = configuration(claim, {})
    assert after != before
    (tmp_path / "numerics/sub/b.py").rename(tmp_path / "numerics/sub/c.py")
    assert configuration(claim, {}) not in (before, after)


def test_configuration_follows_the_file_of_the_claim(fake, monkeypatch, tmp_path):
    claim = fake()
    before = configuration(claim, {})
    file = tmp_path / "conftest.py"
    file.write_text("edited")
    monkeypatch.setattr(sys.modules[type(claim).__module__], "__file__", str(file))
    assert configuration(claim, {}) != before


def test_a_claim_without_file_is_refused(fake):
    claim = fake()
    type(claim).__module__ = "nowhere"
    assert isinstance(claim, Claim)
    with pytest.raises(ValueError, match="claim 'fake' must be defined in a file"):
        configuration(claim, {})
