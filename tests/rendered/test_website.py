"""The documentation as a website: strict, whole, of what the repository says, and with a search."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import pages
import pytest
import website
from rig import ROOT

APART = {"search.html"}  # which the search box leads to


class Links(HTMLParser):
    """What a page loads, and what it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.lead: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attributes if value}
        if tag == "a":
            self.lead += [given["href"]] if "href" in given else []
        else:
            names = ("href", "src", "srcset") if tag == "link" else ("src", "srcset")
            self.loaded += [given[name] for name in names if name in given]


def test_the_website_is_whole(tmp_path: Path) -> None:
    """One test, as it takes seconds to build it."""
    built = website.build(tmp_path)
    reached(built)
    said(built)
    found(built)


def reached(built: Path) -> None:
    """Each page is in the navigation, and loads nothing from elsewhere."""
    written = {path.relative_to(built).as_posix(): Links(path.read_text()) for path in built.rglob("*.html")}
    assert len(written) > 40
    navigation = {link.partition("#")[0] for link in written["index.html"].lead}
    assert written.keys() - navigation - APART - {"index.html"} == set()
    for name, links in written.items():
        here = (built / name).parent
        local = links.loaded + [link for link in links.lead if not re.match(r"[a-z]+:", link)]
        files = {re.split(r"[?#]", link)[0] for link in local} - {""}
        assert [file for file in files if not (here / file).resolve().exists()] == [], name


def said(built: Path) -> None:
    """Each page is what a file of the repository says."""
    for page in pages.pages():
        title = re.search(r"^# (.*)$", (ROOT / page).read_text(), re.MULTILINE)
        assert title, page
        shown = built / PurePosixPath(pages.pages()[page]).with_suffix(".html")
        heading = re.search(r"<h1>(.*?)<a", shown.read_text())
        assert heading, page
        assert re.sub(r"\W", "", heading[1]) == re.sub(r"\W", "", title[1])


def found(built: Path) -> None:
    """The search knows where words stand."""
    index = json.loads((built / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))

    def having(word: str) -> set[str]:
        stands = [index[kind].get(word, []) for kind in ("terms", "titleterms")]
        return {index["docnames"][at] for each in stands for at in (each if isinstance(each, list) else [each])}

    for word, page in {
        "rollback": "production/docker",
        "webhook": "production/kubernetes",
        "exclud": "manual/libraries",
        "xcode": "install",
        "floor": "how-fast",
        "parquet": "manual/read-the-results",
    }.items():
        assert page in having(word), (word, having(word))
    assert having("coffee") == set()


def test_links_of_a_page_are_those_of_the_website() -> None:
    names = {"docs/a.md": "a.md", "example/docs/b.md": "manual/b.md"}
    text = "[b](../example/docs/b.md#c) [code](website.py) [folder](../bench) [web](https://a.org/b) [here](#x)\n"
    text += "    [code](../no/link.md)\n"
    shown = website.linked("docs/a.md", "a.md", text, names)
    host = "https://github.com/OWNER/copier-ml"
    assert shown == (
        f"[b](manual/b.md#c) [code]({host}/blob/main/docs/website.py) [folder]({host}/tree/main/bench) "
        "[web](https://a.org/b) [here](#x)\n    [code](../no/link.md)\n"
    )
    assert website.linked("example/docs/b.md", "manual/b.md", "[a](../../docs/a.md)", names) == "[a](../a.md)"


@pytest.mark.parametrize("text", ["[b](no-file.md)", "![b](pictures/no.svg)", '<img src="pictures/no.png">'])
def test_a_link_to_no_file_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match=r"docs/a\.md .* (no-file\.md|pictures/no\.\w+), which is not there"):
        website.linked("docs/a.md", "a.md", text, {})


def test_a_page_that_is_not_in_the_contents_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = pages.markdown(pages.CONTENTS)
    for entry, complaint in {
        "- [Where it runs](targets.md)": "does not list docs/targets.md",
        "- [Runs](../example/docs/runs.md)": "does not list example/docs/runs.md",
    }.items():
        assert entry in contents
        monkeypatch.setattr(pages, "markdown", lambda _, entry=entry: contents.replace(entry, ""))
        with pytest.raises(SystemExit, match=complaint):
            pages.pages()
    monkeypatch.setattr(pages, "markdown", lambda _: contents + "- [Again](targets.md)\n")
    with pytest.raises(SystemExit, match=r"lists docs/targets.md twice"):
        pages.pages()


def test_two_pages_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pages.NAMES, "bench/RESULTS.md", "changelog.md")
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md, bench/RESULTS\.md would have the website's name of another"):
        pages.pages()


def test_each_page_of_the_manual_is_shown() -> None:
    """Those that only some answers give, too."""
    found = [re.search(r"[\w-]+\.md", path.name) for path in (ROOT / "template/docs").iterdir()]
    written = {f"docs/{name[0]}" for name in found if name}
    assert len(written) == len(found)
    shown = {page.removeprefix("example/") for page in pages.pages()} | {each.page for each in pages.answered()}
    assert written - shown == set()


def test_a_link_to_no_heading_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/index.md").write_text("# Index\n[b](#no-heading)\n")
    with pytest.raises(SystemExit, match="not built"):
        website.generate(tmp_path / "source", tmp_path / "html")
    assert "no-heading" in capfd.readouterr().err
