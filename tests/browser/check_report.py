"""Look at the report of all claims as its readers do: on a phone, on a desk, and on paper.

``python check_report.py PAGE FOLDER`` opens the page in headless Chromium, at two widths and in
both colour schemes, and prints it. It fails if anything is asked of a network, if something is
wider than the screen, if a picture is not shown, if text is too faint to read, or if print leaves
out the rows of a long table. Pictures of the page, and report.pdf, go to the folder. Chromium must
be installed; ``CHROMIUM`` may name its program.
"""

import base64
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from devtools import Tab, chromium

# Width and height of the window in CSS pixels, and device pixels to one of them.
SCREENS = {"phone": (390, 844, 2), "desk": (1280, 900, 1)}
SCHEMES = ("light", "dark")
# The least ratio of luminances of text of any size, by WCAG 2.2, level AA.
CONTRAST = 4.5

# The width is given: a phone that shows too wide a page makes its own innerWidth larger.
TOO_WIDE = """
[...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.right > %d + 0.5 && box.width > 0 && !e.closest('.scroll')
}).map(e => e.tagName + '.' + e.getAttribute('class'))
"""
NOT_SHOWN = """
[...document.images].filter(e => !(e.complete && e.naturalWidth > 0 && e.width > 0)).map(e => e.alt)
"""
# Drawn formulas and marks, which have no natural width.
EMPTY = """
[...document.querySelectorAll('svg')].filter(e => {
  const box = e.getBoundingClientRect();
  return e.checkVisibility() && !(box.width > 3 && box.height > 3)
}).length
"""
# What a change of the medium shows and hides is settled when a frame is drawn.
NEXT_FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
HIDDEN_ROWS = """
[...document.querySelectorAll('details td')].filter(
  e => !e.checkVisibility({contentVisibilityAuto: true}) || e.getBoundingClientRect().height === 0
).length
"""
JOINED = """
[...document.querySelectorAll('section')].filter(
  e => getComputedStyle(e).breakBefore !== 'page'
).length
"""
FAINT = """
(least => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => {
    const [r, g, b] = parts(text).slice(0, 3).map(
      v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      const alpha = parts(color)[3];
      if (alpha === undefined || alpha > 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.checkVisibility()
  ).map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.tagName + '.' + e.getAttribute('class')];
  }).filter(([ratio]) => !(ratio >= least)).map(([ratio, name]) => name + ' ' + ratio.toFixed(2));
})(%s)
"""


def main(page: Path, folder: Path) -> list[str]:
    """Every fault that was found, in words."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise SystemExit("Chromium must be installed (apt-get install chromium), and was not found")
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    with chromium(program) as tab:
        for domain in ("Page", "Network", "Log", "Runtime"):
            tab.call(f"{domain}.enable")
        tab.call("Page.navigate", url=page.resolve().as_uri())
        tab.wait("Page.loadEventFired")
        for screen, (width, height, ratio) in SCREENS.items():
            for scheme in SCHEMES:
                tab.call(
                    "Emulation.setDeviceMetricsOverride",
                    width=width,
                    height=height,
                    deviceScaleFactor=ratio,
                    mobile=screen == "phone",
                )
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                tab.call("Emulation.setEmulatedMedia", media="", features=features)
                found = faults_on_screen(tab, width, scheme)
                faults += [f"{screen}, {scheme}: {fault}" for fault in found]
                shoot(tab, folder / f"{screen}-{scheme}", width, height)
        tab.call("Emulation.clearDeviceMetricsOverride")
        faults += [f"paper: {fault}" for fault in faults_on_paper(tab, folder / "report.pdf")]
        faults += faults_of_loading(tab, page.resolve().as_uri())
    return faults


def faults_on_screen(tab: Tab, width: int, scheme: str) -> list[str]:
    """What is too wide, missing, or not to be read."""
    found = []
    needed = tab.evaluate("document.documentElement.scrollWidth")
    wide = tab.evaluate(TOO_WIDE % width)
    if needed > width or wide:
        found.append(f"the page is {needed} pixels wide on a screen of {width}: {wide[:5]}")
    if tab.evaluate("document.images.length") == 0:
        found.append("there is no figure")
    found += [f"a figure is not shown: {words}" for words in tab.evaluate(NOT_SHOWN)]
    if empty := tab.evaluate(EMPTY):
        found.append(f"{empty} drawings are empty")
    found += [f"too faint: {name}" for name in sorted(set(tab.evaluate(FAINT % CONTRAST)))]
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(ground.partition("(")[2].partition(",")[0])
    if (red < 128) != (scheme == "dark"):
        found.append(f"the ground is {ground}")
    return found


def faults_on_paper(tab: Tab, path: Path) -> list[str]:
    """Print in the dark scheme, which paper must not follow, and count rows and pages."""
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", media="print", features=features)
    found = []
    tab.evaluate(NEXT_FRAME)
    if hidden := tab.evaluate(HIDDEN_ROWS):
        found.append(f"{hidden} cells of long tables are left out")
    if tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)":
        found.append("the ground is not white")
    if joined := tab.evaluate(JOINED):
        found.append(f"{joined} sections begin no page of their own")
    n_sections = tab.evaluate("document.querySelectorAll('section').length")
    tab.call("Emulation.setEmulatedMedia", media="", features=features)
    content = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    path.write_bytes(content)
    # One page for the list, and each section begins a page of its own.
    n_pages = content.count(b"/Type /Page\n") or content.count(b"/Type /Page ")
    if n_pages <= n_sections:
        found.append(f"{n_pages} pages are too few for {n_sections} sections")
    return found


def faults_of_loading(tab: Tab, address: str) -> list[str]:
    """Requests of anything but the page itself, and what the browser complained about."""
    found = []
    for event in tab.events:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked: str = parameters["request"]["url"]
            if asked != address and not asked.startswith("data:"):
                found.append(f"a request of {asked}")
        elif method == "Log.entryAdded":
            entry: dict[str, Any] = parameters["entry"]
            if entry["level"] in ("warning", "error"):
                found.append(f"the browser says: {entry['text']}")
        elif method == "Runtime.exceptionThrown":
            found.append(f"a script failed: {parameters['exceptionDetails']}")
    return found


def shoot(tab: Tab, stem: Path, width: int, height: int) -> None:
    """Pictures of the top of the page, and of the first claim."""
    places = {"": 0, "-claim": tab.evaluate("document.querySelector('section').offsetTop")}
    for suffix, top in places.items():
        area = {"x": 0, "y": top, "width": width, "height": height * (1 + bool(suffix)), "scale": 1}
        picture = tab.call("Page.captureScreenshot", clip=area, captureBeyondViewport=True)
        Path(f"{stem}{suffix}.png").write_bytes(base64.b64decode(picture["data"]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: check_report.py PAGE FOLDER")
    found = main(Path(sys.argv[1]), Path(sys.argv[2]))
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"{len(found)} faults; pictures are in {sys.argv[2]}")
    sys.exit(bool(found))
