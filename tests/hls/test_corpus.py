"""Every case of the corpus, answered exactly."""

import json
from pathlib import Path

import pytest

from hlspub.hls.inspect import Node, NodeKind, inspect

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = sorted(path.parent.name for path in CORPUS.glob("*/expected.json"))
# Files that a repository should not hold, so the test makes them: a name that is no UTF-8, a link that leads out.
MADE = {"hand_bad_utf8": "caf\udce9.ts", "hand_symlink_escape": "s1.ts"}


def the_listing(case: str) -> tuple[dict[str, Node], dict[str, bytes]]:
    top = CORPUS / case / "dir"
    files = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    if case == "hand_bad_utf8":
        files[MADE[case]] = bytes(188)
    listing = {path: Node(NodeKind.FILE, len(data)) for path, data in files.items()}
    if case == "hand_symlink_escape":
        listing[MADE[case]] = Node(NodeKind.ESCAPE)
    return listing, files


def test_the_corpus_is_there() -> None:
    assert len(CASES) == 44


@pytest.mark.parametrize("case", CASES)
def test_inspect_answers_as_expected(case: str) -> None:
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    listing, files = the_listing(case)

    answer = inspect(listing, files.__getitem__)

    assert {
        "entry": answer.entry,
        "kind": answer.kind,
        "files": list(answer.files),
        "missing": list(answer.missing),
        "remote": list(answer.remote),
        "complete": answer.complete,
        "refuse": [{"uri": refused.uri, "reason": refused.reason} for refused in answer.refuse],
        "warn": list(answer.warn),
        "orphans": list(answer.orphans),
        "size": answer.size,
    } == {key: value for key, value in expected.items() if key not in {"note", "source"}}
