import os
from pathlib import Path
from typing import Any

import pytest

from hlspub.ipld.profile import PROFILES
from tests import recipes
from tests.cli.conftest import Hlspub

FILES = [v for v in recipes.vectors("file") if "chunk_size" not in v and v["content"].get("size", 0) < 3 << 20]
TREES = [v for v in recipes.vectors("tree") if v["files"]["kind"] == "list"]


def plant(top: Path, vector: dict[str, Any]) -> Path:
    for path, content in recipes.files(vector["files"]):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(recipes.whole(content))
    return top


@pytest.mark.parametrize("vector", FILES, ids=lambda v: v["id"])
def test_the_cids_of_files(tmp_path: Path, hlspub: Hlspub, vector: dict[str, Any]) -> None:
    path = tmp_path / "file"
    path.write_bytes(recipes.whole(vector["content"]))
    done = hlspub("cid", path, "--profile", vector["profile"], "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "cid": vector["root"],
        "kind": "file",
        "size": path.stat().st_size,
        "blocks": vector["blocks_unique"],
        "profile": vector["profile"],
    }


@pytest.mark.parametrize("vector", TREES, ids=lambda v: v["id"])
def test_the_cids_of_directories(tmp_path: Path, hlspub: Hlspub, vector: dict[str, Any]) -> None:
    top = plant(tmp_path / "top", vector)
    done = hlspub("cid", top, "--profile", vector["profile"], "--json")
    assert (done.code, done.err) == (0, "")
    size = sum(path.stat().st_size for path in top.rglob("*") if path.is_file())
    assert done.json == {
        "cid": vector["root"],
        "kind": "directory",
        "size": size,
        "blocks": vector["blocks_unique"],
        "profile": vector["profile"],
    }
    assert hlspub("cid", top, "--profile", vector["profile"]).out == vector["root"] + "\n"


def test_the_default_profile_is_the_modern_one(tmp_path: Path, hlspub: Hlspub) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    assert hlspub("cid", tmp_path / "f").out == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e\n"


def test_a_configuration_that_is_named_says_the_profile(tmp_path: Path, hlspub: Hlspub) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    (tmp_path / "c.toml").write_text('[publish]\nprofile = "unixfs-v0-2015"\n')
    config = ("--config", tmp_path / "c.toml")
    assert hlspub("cid", tmp_path / "f", *config).out == "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\n"
    assert hlspub("cid", tmp_path / "f", *config, "--profile", "unixfs-v1-2025").out.startswith("bafkreifzjut3")
    assert hlspub("cid", tmp_path / "f", "--config", tmp_path / "none.toml").code == 78


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_left_out_changes_nothing(tmp_path: Path, hlspub: Hlspub, profile: str) -> None:
    plain, full = tmp_path / "plain", tmp_path / "full"
    for top in (plain, full):
        (top / "v").mkdir(parents=True)
        (top / "v" / "seg.ts").write_bytes(b"media")
        (top / "index.m3u8").write_bytes(b"#EXTM3U\n")
    (full / "empty" / "nested").mkdir(parents=True)
    (full / ".git").mkdir()
    (full / ".git" / "seg.ts").write_bytes(b"x")
    (full / "v" / ".seg.ts.tmp").write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    (full / "leads-out").symlink_to(tmp_path / "outside")
    (full / "to-a-directory").symlink_to(full / "v")
    (full / "dangling").symlink_to("nowhere")
    os.mkfifo(full / "fifo")
    done = hlspub("cid", full, "--profile", profile)
    assert done.out == hlspub("cid", plain, "--profile", profile).out
    said = done.err.splitlines()
    assert len(said) == 4
    assert {line.split(": ")[1].removeprefix("left out ") for line in said} == {
        "leads-out",
        "to-a-directory",
        "dangling",
        "fifo",
    }
    assert "leads out of the directory" in next(line for line in said if "leads-out" in line)


def test_hidden_files_are_taken_when_asked_for(tmp_path: Path, hlspub: Hlspub) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "a").write_bytes(b"x")
    (top / ".b").write_bytes(b"y")
    assert hlspub("cid", top, "--json").json["size"] == 1
    assert hlspub("cid", top, "--hidden", "--json").json["size"] == 2


def test_a_link_to_a_file_inside_counts_as_that_file(tmp_path: Path, hlspub: Hlspub) -> None:
    linked, copied = tmp_path / "linked", tmp_path / "copied"
    for top in (linked, copied):
        top.mkdir()
        (top / "a").write_bytes(b"x")
    (linked / "b").symlink_to("a")
    (copied / "b").write_bytes(b"x")
    assert hlspub("cid", linked).out == hlspub("cid", copied).out


def test_an_empty_directory_is_the_empty_directory(tmp_path: Path, hlspub: Hlspub) -> None:
    (tmp_path / "empty").mkdir()
    done = hlspub("cid", tmp_path / "empty", "--profile", "unixfs-v0-2015")
    assert done.out == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn\n"


def test_what_cannot_be_read_is_named(tmp_path: Path, hlspub: Hlspub) -> None:
    done = hlspub("cid", tmp_path / "nothing")
    assert (done.code, done.out) == (66, "")
    assert str(tmp_path / "nothing") in done.err
    os.mkfifo(tmp_path / "fifo")
    done = hlspub("cid", tmp_path / "fifo")
    assert (done.code, done.out) == (65, "")
    assert "FIFO" in done.err
    (tmp_path / "top").mkdir()
    (tmp_path / os.fsdecode(b"top/\xff.ts")).write_bytes(b"x")
    done = hlspub("cid", tmp_path / "top")
    assert (done.code, done.out) == (65, "")
    assert "UTF-8" in done.err
    assert hlspub("cid", tmp_path, "--profile", "v3").code == 64
