"""The texts say what is: commands, options, targets and messages that exist, and nothing of where they were written."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from hlspub.cli import COMMANDS, cli
from hlspub.config.load import parse

LONGEST_FILE = 400  # lines
DOCUMENTS = ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
# What must not be in the project's files; each in pieces, so that this file holds none of them.
FORBIDDEN = {
    "a path of the machine it was written on": r"/wo[r]k/|/tm[p]/bg",
    "a registry's address": r"py[p]i\.org|pyt[h]onhosted|regis[t]ry\.npmjs|crat[e]s\.io|proxy\.gola[n]g|repo1?\.ma[v]en",
    "a download's address": r"https?://[^ \"]+\.(wh[l]|tg[z]|crat[e]|de[b])\b",
    "an issue's number": r"\b[Ii]ssu[e] #?\d",
    "work left undone": r"\bTOD[O]\b|\bFIXM[E]\b",
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def documents(repository: Path) -> dict[str, str]:
    found = [*(repository / name for name in DOCUMENTS), *(repository / "docs").glob("**/*.md")]
    return {str(path.relative_to(repository)): path.read_text() for path in found if path.exists()}


def commands(text: str) -> list[list[str]]:
    """The command lines of hlspub in shell blocks and in `code`."""
    shell = [line.strip().removeprefix("$ ") for block in blocks(text, "sh(?:ell)?") for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    words = [shlex.split(line, comments=True) for line in [*shell, *inline] if re.match(r"(sudo )?hlspub( |$)", line)]
    return [[word for word in line if word != "sudo"][1:] for line in words]


def test_every_command_and_option_in_the_texts_exists(documents: dict[str, str]) -> None:
    seen = 0
    for name, text in documents.items():
        for line in commands(text):
            words = [word for word in line if not word.startswith("-")]
            if not words:
                continue
            assert words[0] in COMMANDS, f"{name}: hlspub {' '.join(line)}"
            command = cli.get_command(click.Context(cli), words[0])
            assert command
            options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
            wrong = [word for word in line if word.startswith("-") and word.partition("=")[0] not in options]
            assert not wrong, f"{name}: hlspub {' '.join(line)}"
            seen += 1
    assert seen >= len(COMMANDS)


def test_every_command_is_described_in_the_readme(documents: dict[str, str]) -> None:
    described = {line[0] for line in commands(documents["README.md"]) if line}
    assert described >= COMMANDS.keys()


def test_every_make_target_in_the_texts_exists(documents: dict[str, str], repository: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), flags=re.MULTILINE))
    named = {name for text in documents.values() for name in re.findall(r"`make ([a-z-]+)", text)}
    named |= {name for text in documents.values() for name in re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


def test_every_configuration_in_the_texts_is_right(documents: dict[str, str]) -> None:
    shown = [(name, block) for name, text in documents.items() for block in blocks(text, "toml")]
    assert shown
    for name, block in shown:
        parse(block, Path(name), {"HOME": "/home/u"})


def test_every_message_that_troubleshooting_quotes_is_said_somewhere(
    documents: dict[str, str], repository: Path
) -> None:
    table = documents["README.md"].partition("## Troubleshooting")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE)
    assert len(quoted) >= 8
    said = "\n".join(path.read_text() for path in (repository / "hlspub").rglob("*.py"))
    for message in quoted:
        pieces = [piece.strip() for piece in re.split(r"…|\.\.\.", message) if piece.strip()]
        assert all(piece in said for piece in pieces), message


def test_every_link_to_a_file_leads_there(documents: dict[str, str], repository: Path) -> None:
    for name, text in documents.items():
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
            assert ((repository / name).parent / link).exists(), f"{name}: {link}"


def readable(repository: Path, paths: list[Path]) -> list[tuple[Path, str]]:
    texts: list[tuple[Path, str]] = []
    for path in paths:
        raw = (repository / path).read_bytes()
        if b"\0" not in raw[:8192]:
            texts.append((path, raw.decode(errors="replace")))
    return texts


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_tells_of_the_place_where_it_was_written(what: str, repository: Path, sources: list[Path]) -> None:
    pattern = re.compile(FORBIDDEN[what])
    assert len(sources) > 50
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in readable(repository, sources)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, f"{what}: {found[:5]}"


def test_no_source_is_too_long_to_read_in_one_sitting(repository: Path, sources: list[Path]) -> None:
    long = {
        str(path): length
        for path in sources
        if path.suffix == ".py" and (length := len((repository / path).read_text().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_what_is_installed_is_pinned_and_by_version_only(repository: Path) -> None:
    lines = (repository / ".ci" / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in pins)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins}
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names <= pinned


def test_the_changelog_begins_with_this_version(repository: Path) -> None:
    version = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (repository / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[:2] in ([version], ["Unreleased", version], [version, *headings[1:2]])


def test_make_alone_lists_its_targets(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    assert {"help", "venv", "demo", "test", "lint", "bench", "install", "clean"} <= listed
