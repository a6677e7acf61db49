from pathlib import Path

from lazyactive.experiments import bibliography

ROOT = Path(__file__).parents[2]

ENTRY = r"""
@article{doe1999title,
  author  = {Doe, Jane and M{\"u}ller, Karl and Gin{\'e}, Evarist},
  title   = {On the {N}ystr{\"o}m Method},
  journal = {Journal of Things},
  volume  = {12},
  number  = {3},
  pages   = {34--56},
  year    = {1999},
  eprint  = {2104.07531},
  doi     = {10.1000/xyz}
}
"""


def test_an_entry_becomes_one_line():
    work = bibliography.parse(ENTRY)["doe1999title"]
    assert work.text == (
        "Jane Doe, Karl Müller and Evarist Giné (1999). On the Nyström Method. "
        "Journal of Things 12(3), 34–56. arXiv 2104.07531."
    )
    assert work.address == "https://doi.org/10.1000/xyz"


def test_missing_fields_leave_no_trace():
    work = bibliography.parse("@misc{a,\n  title = {A Handbook},\n  url = {https://a.org/}\n}")["a"]
    assert work.text == "A Handbook."
    assert work.address == "https://a.org/"


def test_works_are_cited_once_in_the_order_of_the_source():
    source = "bach2017breaking, section 2; domingoenrich2021ebm; bach2017breaking"
    works = bibliography.cited(source)
    assert [work.key for work in works] == ["bach2017breaking", "domingoenrich2021ebm"]
    assert bibliography.cited("derived in lazyactive.theory.gibbs; nobody2026") == []


def test_the_whole_bibliography_is_read_without_a_trace_of_tex():
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    works = bibliography.references()
    assert len(works) == text.count("\n@")
    for work in works.values():
        assert not set("{}\\") & set(work.text), work.key
        assert work.address == "" or work.address.startswith("https://"), work.key
