from dataclasses import asdict, replace

import pytest

from hlspub.ipld.profile import DEFAULT_PROFILE, PROFILES, UNIXFS_V0_2015, UNIXFS_V1_2025

EMPTY_DIRECTORY = bytes.fromhex("0a020801")


V1 = {"cid_version": 1, "chunk_size": 1_048_576, "max_links": 1024, "raw_leaves": True, "hamt_size": "block-bytes"}
V0 = {"cid_version": 0, "chunk_size": 262_144, "max_links": 174, "raw_leaves": False, "hamt_size": "links-bytes"}
HAMT = {"hamt_fanout": 256, "hamt_threshold": 262_144}


@pytest.mark.parametrize(("name", "choices"), [("unixfs-v1-2025", V1), ("unixfs-v0-2015", V0)])
def test_the_numbers_are_those_of_ipip_499(name: str, choices: dict[str, int | str | bool]) -> None:
    assert asdict(PROFILES[name]) == {"name": name, **choices, **HAMT}


def test_the_default_is_the_newer_one() -> None:
    assert DEFAULT_PROFILE is UNIXFS_V1_2025
    assert set(PROFILES) == {"unixfs-v1-2025", "unixfs-v0-2015"}


def test_profiles_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROFILES["unixfs-v1-2025"] = UNIXFS_V0_2015  # pyright: ignore[reportIndexIssue]


def test_a_node_has_the_profiles_cid_version() -> None:
    v1, v0 = UNIXFS_V1_2025.node_cid(EMPTY_DIRECTORY), UNIXFS_V0_2015.node_cid(EMPTY_DIRECTORY)
    assert str(v1) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    assert str(v0) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    assert v1.digest == v0.digest


def test_another_fanout_is_refused() -> None:
    with pytest.raises(ValueError, match="fanout of 16"):
        replace(UNIXFS_V1_2025, hamt_fanout=16)
