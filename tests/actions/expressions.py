"""The expressions of GitHub Actions: what stands between `${{` and `}}`, and in an `if`.

Stricter than GitHub in one thing: a name that does not exist is an error, and not an empty string. Only an `Open`
mapping gives null, the empty string, for what it does not hold.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

Value: TypeAlias = Any  # what JSON has: None, bool, int, float, str, list, dict
Function: TypeAlias = Callable[..., Value]

STATUS = {"success", "failure", "always", "cancelled"}

_NUMBER = r"0x[0-9a-fA-F]+|0o[0-7]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:{_NUMBER})(?![\w.]))|(?P<string>'(?:[^']|'')*')"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||[=!<>]=|[!<>()\[\].,]))"
)
_EMBEDDED = re.compile(r"\$\{\{((?:'[^']*'|[^'}]|\}(?!\}))*)\}\}")
_CONSTANTS = {"null": None, "true": True, "false": False, "NaN": math.nan, "Infinity": math.inf}
_BINDS = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4}
_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class WorkflowError(ValueError):
    """A workflow is wrong, or has something in it that is not known here."""


class ExpressionError(WorkflowError):
    """An expression that cannot be read, or names what does not exist."""


class Open(dict[str, Any]):
    """A mapping in which what is missing is null, as it is everywhere on GitHub."""


class Variables(Open):
    """The environment's variables: the only names in which case counts."""


@dataclass(frozen=True)
class Scope:
    """What an expression may name where it stands: contexts, and functions besides those that are everywhere."""

    contexts: Mapping[str, Value]
    functions: Mapping[str, Function]


class Expression:
    """An expression, read; `functions` and `contexts` are all that it names."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.functions: set[str] = set()
        self.contexts: set[str] = set()
        self._tokens = list(self._read())
        self._value = self._operation(1)
        if self._tokens:
            self._wrong(f"`{self._tokens[0][1]}` is not expected")

    def check(self, scope: Scope) -> None:
        """Raise if a context or a function is named that is not in the scope."""
        unknown = self.contexts - scope.contexts.keys() | self.functions - scope.functions.keys() - FUNCTIONS.keys()
        if unknown:
            self._wrong(f"not known here: {', '.join(sorted(unknown))}")

    def value(self, scope: Scope) -> Value:
        """The value in a scope; all names have to exist, also those that the value does not depend on."""
        self.check(scope)
        try:
            return self._value(scope)
        except (ExpressionError, ArithmeticError, json.JSONDecodeError, TypeError) as error:
            self._wrong(str(error))

    def _wrong(self, reason: str) -> NoReturn:
        raise ExpressionError(f"`{self.source.strip()}`: {reason}")

    def _read(self) -> Iterator[tuple[str, str]]:
        position = 0
        while self.source[position:].strip():
            found = _TOKEN.match(self.source, position)
            if not found:
                self._wrong(f"cannot read `{self.source[position:].strip()}`")
            yield str(found.lastgroup), found[str(found.lastgroup)]
            position = found.end()

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            self._wrong("ends too early")
        kind, token = self._tokens.pop(0)
        return kind, token

    def _have(self, *signs: str) -> bool:
        return bool(self._tokens) and self._tokens[0][0] == "sign" and self._tokens[0][1] in signs

    def _expect(self, sign: str) -> None:
        if not self._have(sign):
            self._wrong(f"`{sign}` is missing")
        self._next()

    def _operation(self, weakest: int) -> Callable[[Scope], Value]:
        left = self._operand()
        while self._have(*(sign for sign, binds in _BINDS.items() if binds >= weakest)):
            sign = self._next()[1]
            left = _join(sign, left, self._operation(_BINDS[sign] + 1))
        return left

    def _operand(self) -> Callable[[Scope], Value]:
        kind, token = self._next()
        if token == "!":
            negated = self._operand()
            return lambda scope: not truthy(negated(scope))
        if kind == "number":
            return _always(number(token))
        if kind == "string":
            return _always(token[1:-1].replace("''", "'"))
        if kind == "name" and token in _CONSTANTS:
            return _always(_CONSTANTS[token])
        if token == "(":
            found = self._operation(1)
            self._expect(")")
        elif kind == "name":
            found = self._call(token.lower()) if self._have("(") else self._context(token.lower())
        else:
            self._wrong(f"`{token}` is not expected")
        while self._have(".", "["):
            found = self._inside(found)
        return found

    def _context(self, name: str) -> Callable[[Scope], Value]:
        self.contexts.add(name)
        return lambda scope: scope.contexts[name]

    def _call(self, name: str) -> Callable[[Scope], Value]:
        self.functions.add(name)
        arguments: list[Callable[[Scope], Value]] = []
        self._expect("(")
        if not self._have(")"):
            arguments.append(self._operation(1))
        while self._have(","):
            self._next()
            arguments.append(self._operation(1))
        self._expect(")")
        return lambda scope: {**FUNCTIONS, **scope.functions}[name](*(each(scope) for each in arguments))

    def _inside(self, value: Callable[[Scope], Value]) -> Callable[[Scope], Value]:
        if self._next()[1] == "[":
            key = self._operation(1)
            self._expect("]")
        else:
            kind, token = self._next()
            if kind != "name":
                self._wrong(f"`{token}` is not a property's name")
            key = _always(token)
        return lambda scope: _property(value(scope), key(scope))


def evaluate(value: Value, scope: Scope) -> Value:
    """The same structure with all texts evaluated; one that is nothing but an expression becomes what that gives."""
    if isinstance(value, dict):
        return {key: evaluate(inside, scope) for key, inside in value.items()}
    if isinstance(value, list):
        return [evaluate(inside, scope) for inside in value]
    if not isinstance(value, str):
        return value
    parts = _EMBEDDED.split(value)
    if any("${{" in outside for outside in parts[::2]):
        raise ExpressionError(f"`{value.strip()}`: `${{{{` without its end")
    found = [Expression(part).value(scope) for part in parts[1::2]]
    if len(found) == 1 and parts[0] == parts[2] == "":
        return found[0]
    return parts[0] + "".join(text(each) + after for each, after in zip(found, parts[2::2], strict=True))


def condition(source: Value, scope: Scope) -> bool:
    """Whether an `if` holds: without one of the functions of `STATUS` in it, only after success."""
    bare = "success()" if source is None else text(source)
    embedded = _EMBEDDED.fullmatch(bare.strip())
    if not embedded and "${{" in bare:
        raise ExpressionError(f"`{bare.strip()}`: always true, for only a part of it is an expression")
    expression = Expression(embedded[1] if embedded else bare)
    expression.check(scope)
    if not expression.functions & STATUS and not scope.functions["success"]():
        return False
    return truthy(expression.value(scope))


def truthy(value: Value) -> bool:
    """Whether a condition of this value holds: all lists and mappings are true."""
    return isinstance(value, list | dict) or (value == value and bool(value))


def text(value: Value) -> str:
    """A value as it shows in a text."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.15g}".replace("inf", "Infinity").replace("nan", "NaN")
    return "Array" if isinstance(value, list) else "Object" if isinstance(value, dict) else str(value)


def number(value: Value) -> float:
    """A value as a number; NaN where it is none."""
    if isinstance(value, str):
        plain = value.strip()
        if not re.fullmatch(_NUMBER, plain):
            return math.nan if plain else 0.0
        return float(int(plain, 0)) if plain[:2] in ("0x", "0o") else float(plain)
    return math.nan if isinstance(value, list | dict) else float(value or 0)


def _always(value: Value) -> Callable[[Scope], Value]:
    return lambda scope: value


def _join(sign: str, left: Callable[[Scope], Value], right: Callable[[Scope], Value]) -> Callable[[Scope], Value]:
    if sign == "&&":
        return lambda scope: right(scope) if truthy(value := left(scope)) else value
    if sign == "||":
        return lambda scope: value if truthy(value := left(scope)) else right(scope)
    return lambda scope: _compare(sign, left(scope), right(scope))


def _compare(sign: str, left: Value, right: Value) -> bool:
    if isinstance(left, list | dict) and left is right:
        return sign in ("==", "<=", ">=")
    if isinstance(left, str) and isinstance(right, str):
        return bool(_COMPARES[sign](left.upper(), right.upper()))
    return bool(_COMPARES[sign](number(left), number(right)))


def _property(value: Value, key: Value) -> Value:
    if isinstance(value, list):
        place = number(key)
        return value[int(place)] if 0 <= place < len(value) else None
    if not isinstance(value, dict):
        if value is None:
            return None
        raise ExpressionError(f"`{text(value)}` has no properties, so not {text(key)}")
    for name, inside in value.items():
        if name == text(key) or (name.lower() == text(key).lower() and not isinstance(value, Variables)):
            return inside
    if isinstance(value, Open):
        return None
    raise ExpressionError(f"no {text(key)} among: {', '.join(value) or 'nothing'}")


def _contains(where: Value, what: Value) -> bool:
    if isinstance(where, list):
        return any(_compare("==", each, what) for each in where)
    return text(what).lower() in text(where).lower()


def _format(pattern: Value, *values: Value) -> str:
    def fill(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if not found[1] or int(found[1]) >= len(values):
            raise ExpressionError(f"format has nothing for `{found[0]}` in `{pattern}`")
        return text(values[int(found[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}|[{}]", fill, text(pattern))


def _join_texts(values: Value, between: Value = ",") -> str:
    return text(between).join(text(each) for each in values) if isinstance(values, list) else text(values)


FUNCTIONS: dict[str, Function] = {
    "contains": _contains,
    "startswith": lambda whole, part: text(whole).lower().startswith(text(part).lower()),
    "endswith": lambda whole, part: text(whole).lower().endswith(text(part).lower()),
    "format": _format,
    "join": _join_texts,
    "tojson": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    "fromjson": lambda value: json.loads(text(value)),
}
