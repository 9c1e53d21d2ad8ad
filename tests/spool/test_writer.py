from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hlspub.errors import StorageError
from hlspub.spool.writer import FILE_NAME, writer_of


def test_a_data_directory_has_one_name_whoever_asks_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(writer_of, [tmp_path] * 16))
    assert names == {writer_of(tmp_path)}
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_two_have_two(tmp_path: Path) -> None:
    assert writer_of(tmp_path / "a") != writer_of(tmp_path / "b")


def test_a_file_that_holds_no_name_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("x")
    with pytest.raises(StorageError, match="writer"):
        writer_of(tmp_path)
