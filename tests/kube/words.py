"""Names and labels."""

import re

from .kinds import Object, Problems

LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
IS_LABEL = re.compile(LABEL)
IS_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PART = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
IS_KEY = re.compile(rf"({IS_SUBDOMAIN.pattern.replace('$', '/')}/)?{PART}")
IS_VALUE = re.compile(f"({PART})?")


def name(wrong: Problems, field: str, text: str, form: re.Pattern[str]) -> None:
    """Check a name."""
    label = (
        "a lowercase RFC 1123 label, of at most 63 characters" if form is IS_LABEL else "a lowercase RFC 1123 subdomain"
    )
    wrong.check(field, text, f"must be {label}", form.fullmatch)


def labels(wrong: Problems, path: str, metadata: Object) -> None:
    """Check labels and annotations."""
    for key, value in metadata.get("labels", {}).items():
        wrong.check(f"{path}.labels", key, "name part or prefix part of the key", IS_KEY.fullmatch)
        wrong.check(
            f"{path}.labels",
            value,
            "a valid label must be an empty string or 63 alphanumerics, -_.",
            IS_VALUE.fullmatch,
        )
    for key in metadata.get("annotations", {}):
        wrong.check(f"{path}.annotations", key, "name part or prefix part of the key", IS_KEY.fullmatch)
