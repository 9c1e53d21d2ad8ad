import json
from pathlib import Path

import click
import pytest

from hlspub.cli.common import emit, seconds_of, size_text, table, time_text
from hlspub.ipld.cid import Cid, Codec

SPANS = {0: "0 s", 0.4: "0 s", 59: "59 s", 60: "1 min", 61: "1 min 1 s", 3600: "1 h", 3605: "1 h", 3661: "1 h 1 min"}
SIZES = {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 40: "3.0 TiB"}


@pytest.mark.parametrize(("seconds", "said"), [*SPANS.items(), (-5, "0 s"), (90_000, "1 d 1 h"), (86_400, "1 d")])
def test_a_span_is_told_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert time_text(seconds) == said


@pytest.mark.parametrize(("size", "said"), SIZES.items())
def test_a_size_is_told_in_its_largest_unit(size: int, said: str) -> None:
    assert size_text(size) == said


def test_a_table_aligns_all_but_its_last_column() -> None:
    assert table([("a", "bb", "c c"), ("aaa", "b", "")], indent="  ") == "  a    bb  c c\n  aaa  b"
    assert table([]) == ""


def test_an_answer_may_hold_cids_and_paths(capfd: pytest.CaptureFixture[str]) -> None:
    cid = Cid.of_data(Codec.RAW, b"x")
    emit({"cid": cid, "path": Path("/a")}, as_json=True, text="")
    assert json.loads(capfd.readouterr().out) == {"cid": str(cid), "path": "/a"}
    with pytest.raises(TypeError, match="cannot hold a set"):
        emit({"x": {1}}, as_json=True, text="")


def test_an_option_takes_a_duration() -> None:
    context, option = click.Context(click.Command("x")), click.Option(["--wait"])
    assert seconds_of(context, option, "1h30m") == 5400
    with pytest.raises(click.BadParameter, match="'60': a duration has a unit"):
        seconds_of(context, option, "60")
