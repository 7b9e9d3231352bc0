"""What a project may be called, and what becomes of it."""

import json
import re
import sys
import tomllib
import unicodedata
from pathlib import Path

import pytest
import rig
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from names import problem, suggest


def test_names_of_the_standard_library_are_known() -> None:
    for name in sys.stdlib_module_names:
        if name.isidentifier() and name.islower() and not name.startswith("_"):
            assert problem(name), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Burger", "lower-case"),
        ("burger-combos", "lower-case"),
        ("7up", "lower-case"),
        ("", "lower-case"),
        ("class", "keyword of Python"),
        ("json", "standard library"),
        ("polars", "the project itself uses"),
        ("a" * 51, "At most 50"),
    ],
)
def test_a_package_that_cannot_be_is_refused(name: str, message: str) -> None:
    assert message in problem(name)


@given(st.text(max_size=80))
def test_whatever_the_project_is_called_a_package_is_suggested(name: str) -> None:
    assert problem(suggest(name)) == ""


def test_a_suggestion_reads_well() -> None:
    assert suggest("Burger Combos") == "burger_combos"
    assert suggest("Übergröße's Küche") == "uebergroesses_kueche"
    assert suggest("E-mail") == "e_mail"
    assert suggest("Test") == "ml_test"
    assert suggest("汉堡") == "ml_project"
    assert suggest("Café Crème") == "cafe_creme"
    assert suggest("Zoë's") == "zoes"
    assert suggest("Łódź & Ærø, İstanbul – Þórr") == "lodz_aero_istanbul_thorr"
    assert suggest("Phở Đặc Biệt") == "pho_dac_biet"


# What has no letter of a-z: clicks, tones and the like.
NO_LETTER = "ƅƨƪƹƻƽƾǀǁǂǃɂ"
# Where neither Unicode's decomposition nor the name of a letter tells.
KNOWN = {
    "ß": "ss", "þ": "th", "ð": "d", "ŋ": "ng", "ĸ": "k", "ə": "e", "ɣ": "g", "ɩ": "i",
    "ʃ": "sh", "ʒ": "z", "ƺ": "z", "ǯ": "z", "ƿ": "w", "ȝ": "y", "ƛ": "l", "ʊ": "u", "ʉ": "u", "ỻ": "ll", "ỽ": "v",
    "ẟ": "d", "ƍ": "d", "ʀ": "r",
}  # fmt: skip
ODDLY = "(?:DOTLESS |TURNED |OPEN |LONG |BARRED )*"
SAID = rf"LATIN (?:SMALL )?(?:LETTER|LIGATURE) {ODDLY}([A-Z]{{1,2}})(?: DIGRAPH)?(?: WITH .*)?"


def test_letters_of_latin_become_those_that_unicode_says_they_are_made_of() -> None:
    missed = ""
    for code in (*range(0xAA, 0x250), *range(0x1E00, 0x1F00)):
        letter = chr(code)
        if not (unicodedata.name(letter, "").startswith("LATIN ") and unicodedata.category(letter).startswith("L")):
            continue
        small = "".join(mark for mark in letter.lower() if not unicodedata.combining(mark))
        decomposed = unicodedata.normalize("NFKD", small)
        plain = "".join(mark for mark in decomposed if mark.isascii() and mark.isalpha())
        said = re.fullmatch(SAID, unicodedata.name(small[0]))
        umlaut = f"{plain}e" if re.match("[aou]\u0308", unicodedata.normalize("NFD", small)) else ""
        expected = KNOWN.get(small) or umlaut or plain or (said[1].lower() if said else "")
        for form in (letter, unicodedata.normalize("NFD", letter)):
            if expected:
                assert suggest(f"x{form}x") == f"x{expected}x", letter
        missed += small if not expected and small not in missed else ""
    assert sorted(missed) == sorted(NO_LETTER)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.text(max_size=90) | st.sampled_from(["\"'`$(x)", "\\", "{{ x }}", "ß汉\u202e🍔"]), min_size=3, max_size=3
    )
)
def test_any_words_give_a_project_or_are_refused(
    words: list[str], plain: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("words") / "p"
    name, sentence, author = words
    try:
        project = rig.generate(plain, folder, project_name=name, description=sentence, author=author)
    except ValueError as refused:
        assert re.search(
            r": (A project needs a name|One sentence, please|A name, please|One line without|At most 80)", str(refused)
        )
        assert not folder.exists()
        assert any(
            not word.strip() or re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", word) or len(word) > 80 for word in words
        )
        return
    metadata = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == sentence
    assert metadata["authors"] == [{"name": author}]
    assert metadata["name"] == project.package.replace("_", "-")
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n{sentence}\n")
    json.loads((folder / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert [answers[key] for key in ("project_name", "description", "author")] == words
    for file in folder.rglob("*.py"):
        compile(file.read_text(encoding="utf-8"), file, "exec")
