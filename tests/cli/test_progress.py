import io
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.cli.progress import Bar, render
from hlspub.pipeline.once import Progress


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


HALF = Progress(done_files=3, total_files=6, done_bytes=1 << 20, total_bytes=2 << 20, phase="packing")
SIZES, FILES = st.integers(0, 1 << 50), st.integers(0, 99)


def test_the_line_tells_how_far_it_is_and_how_long_it_takes() -> None:
    phase, bar, facts = render(HALF, 10.0, 81, "#.")
    assert phase == "packing "
    assert bar == "#" * (len(bar) // 2) + "." * (len(bar) // 2)
    assert facts == "  50%  3/6 files  1.0 MiB of 2.0 MiB  10 s left"


def test_no_rate_is_told_before_it_is_known() -> None:
    assert "left" not in "".join(render(HALF, 0.5, 80, "#."))


@given(st.tuples(SIZES, SIZES), st.tuples(FILES, FILES), st.floats(0, 1e6), st.integers(-1, 200))
def test_the_line_is_as_wide_as_it_may_be_and_no_wider(
    sizes: tuple[int, int], files: tuple[int, int], elapsed_s: float, width: int
) -> None:
    steps = Progress(*files, *sizes, "delivering")
    line = "".join(render(steps, elapsed_s, width, "#."))
    assert len(line) <= max(width, 0)
    if width >= 30:
        assert len(line) == width
        assert line.count("#") + line.count(".") >= 8


def draw(terminal: io.StringIO, env: dict[str, str], *steps: tuple[float, Progress]) -> str:
    clock = Clock()
    with Bar(terminal, env, clock=clock) as bar:
        for at, one in steps:
            clock.at = at
            bar.show(one)
    return terminal.getvalue()


def test_a_bar_is_drawn_at_most_ten_times_a_second_and_taken_away() -> None:
    drawn = draw(Terminal(), {"NO_COLOR": ""}, (0, HALF), (0.05, HALF), (0.2, HALF))
    lines = drawn.split("\r\x1b[K")
    assert len(lines) == 4
    assert lines[0] == lines[-1] == ""
    assert all("█" in line for line in lines[1:-1])


def test_a_new_phase_is_drawn_at_once() -> None:
    assert "binding" in draw(Terminal(), {}, (0, HALF), (0.01, Progress(6, 6, 1, 1, "binding")))


@pytest.mark.parametrize(("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_color_can_be_refused(env: dict[str, str], colored: bool) -> None:
    assert ("\x1b[36m" in draw(Terminal(), env, (0, HALF))) is colored


@pytest.mark.parametrize(("terminal", "env"), [(io.StringIO(), {}), (Terminal(), {"TERM": "dumb"})])
def test_where_no_person_looks_nothing_is_drawn(terminal: io.StringIO, env: dict[str, str]) -> None:
    assert draw(terminal, env, (0, HALF), (1, HALF)) == ""


def test_a_terminal_without_unicode_gets_plain_characters() -> None:
    terminal = Terminal()
    terminal.encoding = "latin-1"
    drawn = draw(terminal, {}, (0, HALF))
    assert "#" in drawn
    drawn.encode("ascii")
