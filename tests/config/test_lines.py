import tomllib

from hypothesis import given
from hypothesis import strategies as st

from hlspub.config.lines import line_of, lines_of_keys

TEXT = '''\
# a comment with a = 1

top = "x"   # and a tail
[stream.main]
path = "a"
include = [
  # not = "a key"
  "one",
  "idle = 3",
]
note = """
[gateway]
listen = 1
"""
inner = { a = 1, b = { c = 2 } }

[stream."odd name"]
dotted.key = true
[[list]]
x = 1
[gateway]
listen = "off"
'''


def test_every_key_stands_on_the_line_where_it_is_written() -> None:
    assert lines_of_keys(TEXT) == {
        ("top",): 3,
        ("stream",): 4,
        ("stream", "main"): 4,
        ("stream", "main", "path"): 5,
        ("stream", "main", "include"): 6,
        ("stream", "main", "note"): 11,
        ("stream", "main", "inner"): 15,
        ("stream", "main", "inner", "a"): 15,
        ("stream", "main", "inner", "b"): 15,
        ("stream", "main", "inner", "b", "c"): 15,
        ("stream", "odd name"): 17,
        ("stream", "odd name", "dotted"): 18,
        ("stream", "odd name", "dotted", "key"): 18,
        ("list",): 19,
        ("gateway",): 21,
        ("gateway", "listen"): 22,
    }


def test_windows_line_ends_change_nothing() -> None:
    assert lines_of_keys(TEXT.replace("\n", "\r\n")) == lines_of_keys(TEXT)


def test_a_key_that_is_not_written_stands_where_its_table_does() -> None:
    lines = lines_of_keys(TEXT)
    assert line_of(lines, ("stream", "main", "absent")) == 4
    assert line_of(lines, ("absent", "key")) is None


def test_an_empty_text_has_no_keys() -> None:
    assert lines_of_keys("") == {}
    assert lines_of_keys("# only\n\n# comments") == {}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,4}", fullmatch=True),
        st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.integers() | st.booleans(), max_size=4),
        max_size=4,
    ),
    st.integers(0, 3),
)
def test_lines_are_found_for_exactly_the_keys_that_tomllib_reads(tables: dict[str, dict[str, int]], blank: int) -> None:
    text = "\n" * blank
    for name, table in tables.items():
        text += f"[{name}]\n" + "".join(f"{key} = {str(value).lower()}\n" for key, value in table.items())
    lines = lines_of_keys(text)
    document = tomllib.loads(text)
    assert set(lines) == {(name,) for name in document} | {(name, key) for name in document for key in document[name]}
    written = text.split("\n")
    assert all(written[number - 1].startswith(path[-1]) for path, number in lines.items() if len(path) == 2)
