"""On which line of a TOML text a key stands.

Rule: no grammar of our own. The text is cut into the smallest runs of lines that `tomllib` reads; each run is one statement
(a table header, or a key with its value), and its keys stand on the run's first line that is not blank or a comment.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import cast

KeyPath = tuple[str, ...]


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """For every key and table of a valid TOML text, the number (from 1) of the line where it is first written."""
    found: dict[KeyPath, int] = {}
    header = ""
    for number, statement in _statements(text):
        if statement.startswith("["):
            header = statement
        document = tomllib.loads(statement if statement is header else f"{header}\n{statement}")
        for path in _paths(document):
            found.setdefault(path, number)
    return found


def line_of(found: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of the nearest table around it that is written down."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    run: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not run and (not line.strip() or line.lstrip().startswith("#")):
            continue
        first = first if run else number
        run.append(line)
        statement = "\n".join(run).strip()
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a value over several lines: not whole yet
        yield first, statement
        run = []


def _paths(table: Mapping[str, object], above: KeyPath = ()) -> Iterator[KeyPath]:
    for name, value in table.items():
        path = (*above, name)
        yield path
        if isinstance(value, dict):
            yield from _paths(cast("dict[str, object]", value), path)
