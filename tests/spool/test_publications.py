import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import StorageError
from hlspub.ipld.cid import Cid, Codec
from hlspub.model import Publication
from hlspub.spool.publications import PublicationLog, PublishedLine

SETTINGS = '{"entry": "auto", "profile": "unixfs-v1-2025"}'


def line(seq: int) -> PublishedLine:
    publication = Publication(
        stream="main",
        session="20261124T100000Z-1",
        seq=seq,
        root=Cid.of_data(Codec.DAG_PB, b"root %d" % seq),
        entry="ünï 文 code.m3u8",
        final=seq == 3,
        published_at=1_795_521_600.25,
        latency_s=1.5,
    )
    return PublishedLine.of(publication, SETTINGS)


@pytest.fixture
def log(tmp_path: Path) -> PublicationLog:
    return PublicationLog(tmp_path / "publications.jsonl")


def test_what_was_appended_is_read(log: PublicationLog) -> None:
    assert log.read() == ([], [])
    for seq in (1, 2, 3):
        log.append(line(seq))
    assert log.read() == ([line(1), line(2), line(3)], [])


def test_a_line_is_json_that_others_read(log: PublicationLog) -> None:
    log.append(line(3))
    (text,) = log.path.read_text(encoding="utf-8").splitlines()
    assert json.loads(text) == {
        "stream": "main",
        "session": "20261124T100000Z-1",
        "seq": 3,
        "root": str(line(3).root),
        "entry": "ünï 文 code.m3u8",
        "final": True,
        "settings": {"entry": "auto", "profile": "unixfs-v1-2025"},
        "published_at": 1_795_521_600.25,
    }


def test_every_cut_of_the_last_line_is_survived(log: PublicationLog) -> None:
    log.append(line(1))
    whole = log.path.read_bytes()
    log.append(line(2))
    both = log.path.read_bytes()
    for end in range(len(whole) + 1, len(both) - 1):
        log.path.write_bytes(both[:end])
        assert log.read() == ([line(1)], [2])
        log.append(line(3))
        assert log.read() == ([line(1), line(3)], [2])


def test_a_whole_line_without_its_end_counts(log: PublicationLog) -> None:
    log.append(line(1))
    log.path.write_bytes(log.path.read_bytes()[:-1])
    assert log.read() == ([line(1)], [])
    log.append(line(2))
    assert log.read() == ([line(1), line(2)], [])


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 100, b"\xff\xfe", b"[]", b"17", b"{}", b'{"stream": "main"}', b'{"root": "not a cid"}', b""],
)
def test_lines_that_are_none_are_named(log: PublicationLog, garbage: bytes) -> None:
    log.append(line(1))
    log.path.write_bytes(garbage + b"\n" + log.path.read_bytes())
    assert log.read() == ([line(1)], [1])


def test_keys_of_later_versions_are_left_aside(log: PublicationLog) -> None:
    log.append(line(1))
    values = json.loads(log.path.read_text(encoding="utf-8"))
    log.path.write_text(json.dumps(values | {"colour": "blue"}) + "\n", encoding="utf-8")
    assert log.read() == ([line(1)], [])


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    log = PublicationLog(tmp_path_factory.getbasetemp() / "any.jsonl")
    log.path.write_bytes(data)
    lines, damaged = log.read()
    assert len(lines) + len(damaged) == len(data.split(b"\n")) - data.endswith(b"\n") - (not data)


def test_a_log_that_is_a_directory_is_said_so(log: PublicationLog) -> None:
    log.path.mkdir()
    with pytest.raises(StorageError, match=r"publications\.jsonl"):
        log.append(line(1))
    with pytest.raises(StorageError, match=r"publications\.jsonl"):
        log.read()


_APPENDER = """
import sys
from pathlib import Path
from hlspub.ipld.cid import Cid, Codec
from hlspub.spool.publications import PublicationLog, PublishedLine
log = PublicationLog(Path(sys.argv[1]))
for seq in range(int(sys.argv[2]), 10**9):
    log.append(PublishedLine("main", "s", seq, Cid.of_data(Codec.DAG_PB, b"r"), "a.m3u8", False, "{}", 1.0))
    print(seq, flush=True)
"""


def test_a_killed_appender_loses_no_line_that_it_reported(log: PublicationLog) -> None:
    reported = 0
    for stop in (1, 7, 30):
        with subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(log.path), str(reported + 1)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            assert process.stdout is not None
            for _ in range(stop):
                reported = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split("\n")[:-1]
            reported = max([reported, *map(int, rest)])
        lines, _ = log.read()
        assert {published.seq for published in lines} >= set(range(1, reported + 1))
