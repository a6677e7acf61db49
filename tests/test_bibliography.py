"""Every work that the packages cite is in references.bib, once and with its essentials."""

import re
from collections import Counter
from pathlib import Path

import lazyactive.experiments
import lazyactive.numerics
import lazyactive.theory

ROOT = Path(__file__).parents[1]
# Where they are installed: the checkout is not always there.
PACKAGES = [
    Path(package.__file__).parent
    for package in (lazyactive.theory, lazyactive.numerics, lazyactive.experiments)
]
# author, year, first word of the title; the handbook has no year.
KEY = re.compile(r"\b(?:[a-z]+(?:19|20)[0-9]{2}[a-z]+|dlmf)\b")
ENTRY = re.compile(r"^@\w+\{(\S+?),$(.*?)^\}$", re.MULTILINE | re.DOTALL)


def cited(packages: list[Path]) -> dict[str, list[str]]:
    """Files that cite each key."""
    found: dict[str, list[str]] = {}
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            for key in set(KEY.findall(path.read_text(encoding="utf-8"))):
                found.setdefault(key, []).append(str(path.relative_to(package.parent)))
    return found


def entries() -> list[tuple[str, str]]:
    return ENTRY.findall((ROOT / "references.bib").read_text(encoding="utf-8"))


def test_every_cited_key_has_an_entry():
    keys = cited(PACKAGES)
    # A claim and a docstring cite these: the scan reads both kinds of citation.
    assert {"domingoenrich2021ebm", "bach2017breaking"} <= keys.keys()
    known = {key for key, _ in entries()}
    assert {key: files for key, files in keys.items() if key not in known} == {}


def test_the_scan_sees_citations_of_every_form(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""[nobody1999missing]_ and [other2001absent, section 6]."""\n'
        'source = "third2010string, section 6"  # dlmf 10.2\n'
    )
    assert set(cited([tmp_path])) == {
        "nobody1999missing",
        "other2001absent",
        "third2010string",
        "dlmf",
    }


def test_entries_are_whole_and_unique():
    parsed = entries()
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    assert len(parsed) == text.count("\n@")
    assert [key for key, count in Counter(key for key, _ in parsed).items() if count > 1] == []
    for key, body in parsed:
        fields = set(re.findall(r"^  (\w+)\s*= \{", body, re.MULTILINE))
        assert {"author", "title"} <= fields, key
        assert "year" in fields or "url" in fields, key
        assert body.count("{") == body.count("}"), key
