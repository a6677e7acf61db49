"""The works that claims cite, read from the project's bibliography."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# A link to the file at the root of the checkout; an installed package has a copy.
_FILE = Path(__file__).with_name("references.bib")
_ENTRY = re.compile(r"^@\w+\{(\S+?),$(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+)\s*= \{(.*?)\},?$", re.MULTILINE)
_ACCENT = re.compile(r"\{\\(['`^\"~])\{?([A-Za-z])\}?\}")
_MARKS = {
    "'": "\N{COMBINING ACUTE ACCENT}",
    "`": "\N{COMBINING GRAVE ACCENT}",
    "^": "\N{COMBINING CIRCUMFLEX ACCENT}",
    '"': "\N{COMBINING DIAERESIS}",
    "~": "\N{COMBINING TILDE}",
}


@dataclass(frozen=True)
class Reference:
    """A work as lists of references have it, and where to find it.

    Parameters
    ----------
    key, text : str
    address : str
        On the web; empty where the entry has none.
    """

    key: str
    text: str
    address: str


@cache
def references() -> dict[str, Reference]:
    """All works by key; none where the bibliography was not installed."""
    return parse(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {}


def cited(source: str) -> list[Reference]:
    """The works that the source of a claim names by their keys, each once, in order."""
    known = references()
    return [known[word] for word in dict.fromkeys(re.findall(r"\w+", source)) if word in known]


def parse(text: str) -> dict[str, Reference]:
    """Read BibTeX that is laid out as the project's bibliography is: one field to a line."""
    found = {}
    for key, body in _ENTRY.findall(text):
        fields = {name: _plain(value) for name, value in _FIELD.findall(body)}
        found[key] = Reference(key, _cite(fields), _address(fields))
    return found


def _cite(fields: dict[str, str]) -> str:
    """Authors (year). Title. Where it was published."""
    year = f" ({fields['year']})" if "year" in fields else ""
    parts = [f"{_authors(fields.get('author', ''))}{year}", fields.get("title", ""), _place(fields)]
    if "eprint" in fields:
        parts.append(f"arXiv {fields['eprint']}")
    return " ".join(f"{part}." for part in parts if part)


def _authors(names: str) -> str:
    """First names first."""
    turned = [" ".join(reversed(name.split(", "))) for name in names.split(" and ")]
    return " and ".join(filter(None, [", ".join(turned[:-1]), turned[-1]]))


def _place(fields: dict[str, str]) -> str:
    keys = ("journal", "booktitle", "publisher")
    place = next((fields[key] for key in keys if key in fields), "")
    if place and "volume" in fields:
        place += f" {fields['volume']}"
        place += f"({fields['number']})" if "number" in fields else ""
    if place and "pages" in fields:
        place += f", {fields['pages']}"
    return place


def _address(fields: dict[str, str]) -> str:
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return fields.get("url", "")


def _plain(value: str) -> str:
    r"""Text without TeX: ``Gabri{\'e}`` is Gabrié, and ``2771--2782`` gets a dash."""
    text = _ACCENT.sub(lambda match: match[2] + _MARKS[match[1]], value)
    text = re.sub(r"[{}]", "", text).replace("--", "\N{EN DASH}")
    return unicodedata.normalize("NFC", text)
