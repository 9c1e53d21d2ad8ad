"""What is wrong in a configuration, said so that a person can mend it at once.

Rule: every mistake is a `Problem` with the key's path, and all of them are shown together, one a line, as
`file:line key = value: reason. Did you mean "…"?`. A value that may be a secret is never shown (P8).
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hlspub.config.lines import KeyPath, line_of

_SECRET_NAME = re.compile(r"secret|token|passw|credential|private|(^|_)key$", re.IGNORECASE)
_USER_INFO = re.compile(r"//[^/@\s\"]*@")  # user and password in a URL (RFC 3986 §3.2.1)
_LONGEST_VALUE = 60  # characters of a value that are worth showing
_TOP = "the configuration"

# Keys that the design knows and this version does not have: refused with a sentence, never ignored.
NOT_YET = {
    "keep": "not in this version: what stays in the local store follows from [publish] keep_roots and keep_sessions",
    "max_size": "not in this version: the local store is not limited yet",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: which key (empty for the file as a whole), why, and what was probably meant."""

    path: KeyPath
    reason: str
    meant: str | None = None


def report(problems: Iterable[Problem], *, file: Path, lines: Mapping[KeyPath, int], document: object) -> str:
    """All mistakes, in the file's order, one a line, under a line that counts them."""
    told = [(line_of(lines, problem.path) or 0, problem) for problem in problems]
    told.sort(key=lambda one: one[0])
    count = "one mistake" if len(told) == 1 else f"{len(told)} mistakes"
    places = (f"{file}:{number}" if number else str(file) for number, _ in told)
    lines_told = (_line(problem, place, document) for place, (_, problem) in zip(places, told, strict=True))
    return "\n".join([f"{count} in the configuration", *lines_told])


def problems_of(why: ValidationError, at: KeyPath, section: type[BaseModel]) -> list[Problem]:
    """A section's validation errors as problems under the path `at`."""
    return [_problem(error, at, section) for error in why.errors(include_url=False)]


def unknown(path: KeyPath, known: Iterable[str]) -> Problem:
    """A key that does not exist, with the nearest one that does."""
    if path[-1] in NOT_YET:
        return Problem(path, NOT_YET[path[-1]])
    where = f"[{'.'.join(path[:-1])}]" if path[:-1] else _TOP
    return Problem(path, f"there is no such key in {where}", nearest(path[-1], known))


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(str(word), list(known), n=1)), None)


def shown(path: KeyPath, value: object) -> str:
    """A value as it may be shown: like TOML writes it, cut when long, hidden when it may be a secret."""
    if isinstance(value, dict):
        return "{…}"
    if not isinstance(value, (bool, int, float)) and path and _SECRET_NAME.search(path[-1]):
        return "(not shown)"
    text = _USER_INFO.sub("//…@", json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _line(problem: Problem, where: str, document: object) -> str:
    written, value = _look_up(document, problem.path)
    what = ".".join(problem.path)
    if written and not isinstance(value, dict):
        what = f"{what} = {shown(problem.path, value)}"
    meant = f' Did you mean "{problem.meant}"?' if problem.meant else ""
    return f"{where} {what}: {problem.reason}.{meant}" if what else f"{where}: {problem.reason}.{meant}"


def _look_up(document: object, path: KeyPath) -> tuple[bool, object]:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False, None
        document = cast("dict[str, object]", document)[name]
    return True, document


def _problem(error: ErrorDetails, at: KeyPath, section: type[BaseModel]) -> Problem:
    where = error["loc"]
    names = tuple(part for part in where if isinstance(part, str))
    if error["type"] == "extra_forbidden":
        return unknown((*at, *names), section.model_fields)
    path = (*at, *names)
    value = error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    index = next((f"item {part + 1}: " for part in where if isinstance(part, int)), "")
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        listed = " or ".join(json.dumps(choice) for choice in choices)
        return Problem(path, f"{index}expected {listed}", nearest(value, choices))
    return Problem(path, index + _reason(error["type"], context, error["msg"]))


def _reason(kind: str, context: Mapping[str, Any], fallback: str) -> str:
    """The sentence for one of pydantic's error types."""
    sentences = {
        "missing": "is missing",
        "bool_type": "expected true or false",
        "int_type": "expected a whole number",
        "tuple_type": 'expected a list like ["…", "…"]',
        "model_type": "expected a table",
        "greater_than_equal": f"must be {context.get('ge')} or more",
        "value_error": str(context.get("error")),
    }
    return sentences.get(kind, fallback[:1].lower() + fallback[1:])
