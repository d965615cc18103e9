"""Chromium opens the pages of --html: nothing fails, nothing overflows, all text can be read."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.test_pages import PAGES

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120
WIDTHS = (400, 1400)
CONTRAST = 4.5  # WCAG 2, AA
DARK = {"light": "1", "dark": "0"}  # Blink's numbers of the scheme that the reader prefers
# Stands around the pages, which are judged as they are: each in a frame of the width.
JUDGE = """
<script>
const parse = (text) => {
  const found = text.match(/[\\d.]+/g);
  return found ? found.map(Number) : [0, 0, 0, 0];
};
const luminance = ([r, g, b]) => {
  const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ratio = (one, other) => {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(at.ownerDocument.defaultView.getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
addEventListener("load", () => {
  const results = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, root = page.documentElement;
    const texts = [...page.body.querySelectorAll("*")].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
      && !["SCRIPT", "STYLE", "title"].includes(element.tagName) && element.getClientRects().length);
    const pale = texts.map((element) => {
      const style = frame.contentWindow.getComputedStyle(element);
      const colour = element instanceof frame.contentWindow.SVGElement ? style.fill : style.color;
      return [ratio(parse(colour), ground(element)), element.tagName, element.textContent.slice(0, 60)];
    }).filter(([found]) => found < LEAST);
    const wide = [...page.body.querySelectorAll("*")].filter((element) => {
      const inner = element.closest(".wide, .drawn .card");
      return (!inner || inner === element) && element.getBoundingClientRect().right > root.clientWidth + 1;
    }).map((element) => `${element.tagName}.${element.getAttribute("class")}`);
    const filter = page.querySelector("input.filter"), table = page.querySelector("table[data-filter]");
    let left = null;
    if (filter) {
      filter.value = "no row has this";
      filter.dispatchEvent(new frame.contentWindow.Event("input"));
      left = [...table.tBodies[0].rows].filter((row) => row.getClientRects().length).length;
    }
    return {name: frame.title, texts: texts.length, pale, wide, left,
            overflows: root.scrollWidth - root.clientWidth};
  });
  document.body.textContent = "RESULTS" + JSON.stringify(results) + "END";
});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI has no Chromium")
    if found is None:
        pytest.skip("no Chromium here: make thorough installs it")
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", DARK)
def test_pages_are_right_on_a_phone_and_on_a_desk(browser: str, tmp_path: Path, scheme: str) -> None:
    frames = [
        f'<iframe title="{name} {width}" width={width} height=900 srcdoc="{html.escape(page())}"></iframe>'
        for name, page in PAGES.items()
        for width in WIDTHS
    ]
    judge = tmp_path / "judge.html"
    whole = (
        f"<!DOCTYPE html><meta charset=utf-8><body>{''.join(frames)}{JUDGE.replace('LEAST', str(CONTRAST))}"
    )
    judge.write_text(whole, "utf-8")
    said = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000",
         f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={DARK[scheme]}",
         "--enable-logging=stderr", "--dump-dom", judge.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert [line for line in said.stderr.splitlines() if "CONSOLE" in line] == []
    found = re.search("RESULTS(.*)END", said.stdout, re.DOTALL)
    assert found, said.stdout[-2000:]
    results: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    assert [each["name"] for each in results] == [f"{name} {width}" for name in PAGES for width in WIDTHS]
    for each in results:
        assert each["texts"] > 20, each
        assert each["pale"] == [], each["name"]
        assert (each["overflows"], each["wide"]) == (0, []), each["name"]
        assert each["left"] in (None, 0), "the filter hides what does not match"
    assert {each["name"].split()[0] for each in results if each["left"] == 0} == {"diff", "test"}
