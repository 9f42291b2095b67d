"""Accessibility in a real browser: axe-core on every page in both themes, and where the focus is."""

from importlib.resources import files

import axe_playwright_python
import pytest

from tests.shared_browser import LONG, PAGES, opened, settled, title, visit
from tests.shared_runs import finished, save, toy_on_disk
from yoto_core.store import library

pytestmark = pytest.mark.browser
AXE = files(axe_playwright_python).joinpath("axe.min.js").read_text(encoding="utf-8")

# What Streamlit itself makes and neither its theme nor our calls can change: rule, part of the element's HTML, reason.
STREAMLITS = (
    ("list", "stSidebarNavItems", "the menu puts the pages of a section into a div inside the list"),
    ("listitem", "<li class=", "the same: its items are no children of the list"),
)


def violations(page):
    """What axe finds serious or critical, as (rule, HTML of the element, why)."""
    page.evaluate(AXE)
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        (rule["id"], node["html"], node["failureSummary"])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"]
    ]


def ours(page):
    """The violations that are not Streamlit's own."""
    return [
        found
        for found in violations(page)
        if not any(rule == found[0] and part in found[1] for rule, part, _ in STREAMLITS)
    ]


@pytest.fixture(params=["light", "dark"])
def themed(request, browser):
    profile = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    profile.set_default_timeout(LONG)
    yield opened(profile)
    profile.close()


@pytest.mark.parametrize("what", ["nothing", "the demo", "a run"])
def test_every_page_has_no_serious_violation_and_no_bar_to_scroll_sideways(what, themed, server, home):
    link = {"nothing": "", "the demo": "?data=demo", "a run": ""}[what]
    if what == "a run":
        link = f"?run={save(finished()).name}"
    found = {}
    for path, heading in PAGES.items():
        visit(themed, f"{server.url}/{path if path != 'data' else ''}{link}")
        title(themed, heading)
        found[path] = ours(themed)
        assert themed.evaluate("document.documentElement.scrollWidth") <= 1280
    assert not any(found.values()), found


def test_labelled_cells_have_no_serious_violation(themed, server, home):
    with toy_on_disk().open("rb") as file:
        cells = library.keep(file, "new.h5ad")
    visit(themed, f"{server.url}/predict?run={save(finished()).name}&cells={cells}")
    title(themed, "Predict")
    themed.get_by_text("Is it calibrated on the new cells?").wait_for()
    themed.locator(".js-plotly-plot").nth(4).wait_for()
    assert ours(settled(themed)) == []


def test_a_dialog_has_no_serious_violation_and_keeps_the_focus(themed, server, home):
    visit(themed, f"{server.url}/runs?run={save(finished()).name}")
    title(themed, "Runs")
    themed.get_by_role("button", name="Delete").first.click()
    themed.get_by_role("dialog").get_by_role("button", name="Keep").wait_for()
    assert ours(themed) == []
    assert themed.evaluate("document.querySelector('[role=dialog]').contains(document.activeElement)")


def test_the_focus_goes_to_the_heading_of_a_new_page_and_stays_in_a_widget_of_the_same(page, server):
    visit(page, server.url)
    focused = "document.activeElement.tagName + ' ' + document.activeElement.textContent.trim()"
    assert not page.evaluate(focused).startswith("H2")  # the first page takes nothing
    link = page.get_by_role("link", name="Runs")
    link.focus()
    page.keyboard.press("Enter")
    title(page, "Runs")
    page.wait_for_function(f"({focused}) === 'H2 Runs'")
    page.get_by_role("link", name="Data").focus()
    page.keyboard.press("Enter")
    title(page, "Data")
    page.wait_for_function(f"({focused}) === 'H2 Data'")


def test_a_link_with_the_focus_of_the_keyboard_has_a_ring(page, server):
    visit(page, server.url)
    for _ in range(3):
        page.keyboard.press("Tab")
        style = page.evaluate("(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle(document.activeElement))")
        assert style == ["solid", "3px"], page.evaluate("document.activeElement.outerHTML")
