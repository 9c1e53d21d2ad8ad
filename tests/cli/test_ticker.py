from io import StringIO

from hlspub.cli.ticker import Ticker


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_counts_on_one_line_ten_times_a_second_and_leaves_it_clean() -> None:
    terminal, now = Terminal(), 0.0
    with Ticker(terminal, {}, clock=lambda: now) as ticker:
        for i in range(100):
            now = i * 0.01
            ticker.show("checked", i, "blocks", i * 1024)
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert drawn[0] == drawn[-1] == ""
    assert drawn[1] == "checked: 0 blocks, 0 B"
    assert 9 <= len(drawn) - 2 <= 11
    assert "\n" not in terminal.getvalue()


def test_is_silent_where_nobody_looks() -> None:
    for stream, env in ((StringIO(), {}), (Terminal(), {"TERM": "dumb"})):
        with Ticker(stream, env) as ticker:
            ticker.show("checked", 1, "blocks", 1)
        assert stream.getvalue() == ""


def test_writes_nothing_when_nothing_was_counted() -> None:
    terminal = Terminal()
    with Ticker(terminal, {}):
        pass
    assert terminal.getvalue() == ""
