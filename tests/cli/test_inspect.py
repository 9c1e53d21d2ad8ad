"""`hlspub inspect` as it is run: every case of the corpus, and what a directory can do to it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hlspub.cli import inspect as module
from hlspub.cli import run
from hlspub.errors import InputError

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = sorted(path.parent.name for path in CORPUS.glob("*/expected.json"))


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(module.command, [str(argument) for argument in arguments], catch_exceptions=False)


def prepared(case: str, tmp_path: Path) -> Path:
    """The case's directory, with the files that a repository should not hold."""
    top = CORPUS / case / "dir"
    if case == "hand_bad_utf8":
        top = Path(shutil.copytree(top, tmp_path / "dir"))
        Path(os.fsdecode(os.fsencode(top) + b"/caf\xe9.ts")).write_bytes(bytes(188))
    if case == "hand_symlink_escape":
        top = Path(shutil.copytree(top, tmp_path / "dir"))
        (tmp_path / "outside.ts").write_bytes(b"x")
        (top / "s1.ts").symlink_to(tmp_path / "outside.ts")
    return top


@pytest.mark.parametrize("case", CASES)
def test_the_corpus(case: str, tmp_path: Path) -> None:
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    result = invoke(prepared(case, tmp_path), "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {key: answer[key] for key in expected if key not in {"note", "source"}} == {
        key: value for key, value in expected.items() if key not in {"note", "source"}
    }


def test_a_configuration_that_is_named_says_the_entry(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n")
    config = tmp_path / "c.toml"
    config.write_text(f'[stream.main]\npath = "{tmp_path}"\nentry = "two.m3u8"\n')
    assert json.loads(invoke(tmp_path, "--json").stdout)["entry"] is None
    assert json.loads(invoke(tmp_path, "--json", "--config", config).stdout)["entry"] == "two.m3u8"
    assert (
        json.loads(invoke(tmp_path, "--json", "--config", config, "--entry", "one.m3u8").stdout)["entry"] == "one.m3u8"
    )


def test_people_read_the_same(tmp_path: Path) -> None:
    text = invoke(prepared("hand_bad_utf8", tmp_path)).stdout
    assert text.splitlines()[0] == "entry: i.m3u8 (media playlist)"
    assert "  caf\\udce9.ts" in text
    assert "[not-utf8]" in text
    text = invoke(CORPUS / "shaka_vod_demuxed" / "dir").stdout
    assert "variant: v/video.m3u8 (96x54, 59 kbit/s, avc1.42c00a,mp4a.40.2)" in text
    assert "complete: yes" in text
    text = invoke(CORPUS / "hand_multi_drm_keys" / "dir").stdout
    assert "keys that viewers need: 2\n  skd://a (SAMPLE-AES, com.apple.streamingkeydelivery)" in text


def test_a_long_list_is_cut_for_people(tmp_path: Path) -> None:
    body = "".join(f"#EXTINF:1,\n{number}.ts\n" for number in range(30))
    (tmp_path / "i.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + body)
    assert "missing: 30\n" in invoke(tmp_path).stdout
    assert "  and 10 more; --json shows all\n" in invoke(tmp_path).stdout


def test_links(tmp_path: Path) -> None:
    top = tmp_path / "dir"
    (top / "real").mkdir(parents=True)
    (top / "real" / "a.ts").write_bytes(b"1234")
    (top / "in.ts").symlink_to("real/a.ts")
    (top / "dangling.ts").symlink_to("nowhere.ts")
    (top / "folder").symlink_to("real")
    (top / "loop.ts").symlink_to("loop.ts")
    (top / "out.ts").symlink_to("../../etc/passwd")
    os.mkfifo(top / "pipe.ts")
    found = {path: str(node.kind) for path, node in module.listing(top).items()}
    assert found == {
        "real/a.ts": "file",
        "in.ts": "file",
        "dangling.ts": "other",
        "folder": "other",
        "loop.ts": "other",
        "out.ts": "escape",
        "pipe.ts": "other",
    }


def test_a_directory_that_is_itself_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.ts").write_bytes(b"1234")
    (tmp_path / "real" / "b.ts").symlink_to(tmp_path / "real" / "a.ts")
    (tmp_path / "link").symlink_to("real")
    assert {str(node.kind) for node in module.listing(tmp_path / "link").values()} == {"file"}


def test_no_such_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "nope"), "--json"]) == 66
    said = capsys.readouterr()
    assert (said.out, "nope is not a directory" in said.err) == ("", True)


def test_no_such_entry(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        invoke(tmp_path, "--entry", "nope.m3u8")
