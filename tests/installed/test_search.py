"""The documentation's website in a browser: its search finds pages, from a folder too, and a phone shows them whole."""

from pathlib import Path

import pytest
import website
from page import browser

# The width, and what of the page goes beyond it but for what scrolls by itself, as a wide table or a block of code.
WIDE = """JSON.stringify([innerWidth, [...document.querySelectorAll("article *")].filter(
    element => element.getBoundingClientRect().right > innerWidth && !element.closest("pre, .table-wrapper")
).map(element => element.outerHTML.slice(0, 80))])"""


@pytest.mark.browser
def test_the_search_finds_pages_and_a_phone_shows_them(tmp_path: Path) -> None:
    built = website.build(tmp_path)
    with browser() as page:
        page.open(f"{(built / 'search.html').as_uri()}?q=rollback")
        said = page.wait_for("Search finished, found ", "Production on Kubernetes", "DynamoDB")
        assert "Five examples" not in said.partition("Search finished")[2]
        for name in ("index", "targets", "at-a-glance", "manual/own-model", "production/kubernetes"):
            page.open((built / f"{name}.html").as_uri())
            page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
            page.wait_for("Made with Furo")
            assert page.call("Runtime.evaluate", expression=WIDE)["result"]["value"] == "[390,[]]", name
