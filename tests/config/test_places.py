import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlspub.config.places import (
    Places,
    check_state_directory,
    default_data_dir,
    find_config,
    find_data_dir,
    new_config,
    read_text,
)
from hlspub.errors import ConfigError, PermissionRefused


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(system_config=tmp_path / "etc/hlspub/config.toml", system_data=tmp_path / "var/lib/hlspub")


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_order_is_named_then_environment_then_xdg_then_system(tmp_path: Path, places: Places) -> None:
    env = {"HOME": str(tmp_path / "home")}
    assert find_config(None, env, places) is None
    system = write(places.system_config)
    assert find_config(None, env, places) == system
    home = write(tmp_path / "home/.config/hlspub/config.toml")
    assert find_config(None, env, places) == home
    xdg = write(tmp_path / "xdg/hlspub/config.toml")
    env |= {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_config(None, env, places) == xdg
    env |= {"HLSPUB_CONFIG": str(tmp_path / "absent.toml")}
    assert find_config(None, env, places) == tmp_path / "absent.toml"  # named, so taken at its word
    assert find_config(Path("given.toml"), env, places) == Path("given.toml")


def test_a_relative_xdg_directory_is_ignored(tmp_path: Path, places: Places) -> None:
    home = write(tmp_path / "home/.config/hlspub/config.toml")
    assert find_config(None, {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "xdg"}, places) == home


def test_a_new_configuration_goes_to_what_is_named_then_to_the_users_place(tmp_path: Path, places: Places) -> None:
    env = {"HOME": str(tmp_path)}
    assert new_config(Path("c.toml"), env | {"HLSPUB_CONFIG": "/e.toml"}, root=False, places=places) == Path("c.toml")
    assert new_config(None, env | {"HLSPUB_CONFIG": "/e.toml"}, root=True, places=places) == Path("/e.toml")
    assert new_config(None, env, root=False, places=places) == tmp_path / ".config/hlspub/config.toml"
    assert new_config(None, env, root=True, places=places) == places.system_config
    assert new_config(None, {}, root=False, places=places) == places.system_config


def test_the_system_configuration_means_the_system_data(tmp_path: Path, places: Places) -> None:
    write(places.system_config)
    env = {"HOME": str(tmp_path)}
    assert default_data_dir(places.system_config, env, places) == places.system_data
    link = tmp_path / "link.toml"
    link.symlink_to(places.system_config)
    assert default_data_dir(link, env, places) == places.system_data
    assert default_data_dir(tmp_path / "mine.toml", env, places) == tmp_path / ".local/state/hlspub"
    assert default_data_dir(None, env | {"XDG_STATE_HOME": "/state"}, places) == Path("/state/hlspub")


def test_without_home_and_system_configuration_there_is_no_default(places: Places) -> None:
    with pytest.raises(ConfigError, match="no data_dir"):
        default_data_dir(None, {}, places)


def test_the_data_directory_is_found_in_a_file_that_is_otherwise_wrong(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml", 'data_dir = "data"\nnonsense = 3\n')
    assert find_data_dir(file, {}) == tmp_path / "data"
    assert find_data_dir(write(tmp_path / "d.toml", 'data_dir = "/abs"'), {}) == Path("/abs")


def test_the_data_directory_of_a_silent_file_is_the_default(tmp_path: Path, places: Places) -> None:
    assert find_data_dir(write(places.system_config), {}, places) == places.system_data
    assert find_data_dir(None, {"HOME": "/h"}, Places(tmp_path / "none", tmp_path)) == Path("/h/.local/state/hlspub")


@pytest.mark.parametrize("text", ["data_dir = 3", "data_dir = ", 'data_dir = "a" "b"'])
def test_a_data_directory_that_cannot_be_read_names_the_file(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "c.toml", text)
    with pytest.raises(ConfigError, match=r"c\.toml"):
        find_data_dir(file, {})


def test_a_missing_configuration_says_how_to_get_one(tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path, write(tmp_path / "file") / "below"):
        with pytest.raises(ConfigError, match="there is no such") as why:
            read_text(path)
        assert "hlspub init" in why.value.hint


def test_a_configuration_that_is_not_text_says_where(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"abc\xff")
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(at byte 3\)"):
        read_text(path)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    me = os.geteuid()
    if me == 0:  # root may read everything
        os.seteuid(65534)
    yield
    os.seteuid(me)


def test_a_configuration_of_another_user_is_refused(tmp_path: Path, as_nobody: None) -> None:
    path = tmp_path / "c.toml"
    if os.access(tmp_path, os.W_OK, effective_ids=True):
        write(path).chmod(0)
    with pytest.raises(PermissionRefused):
        read_text(path)


def test_the_service_managers_directory_must_agree(tmp_path: Path) -> None:
    state = tmp_path / "private/hlspub"
    state.mkdir(parents=True)
    link = tmp_path / "hlspub"
    link.symlink_to(state)  # as DynamicUser makes it
    for data_dir in (state, link, link / "inside"):
        assert check_state_directory(data_dir, {"STATE_DIRECTORY": str(link)}) is None
    assert check_state_directory(tmp_path, {}) is None
    assert check_state_directory(link, {"STATE_DIRECTORY": f"/elsewhere:{link}"}) is None
    assert str(link) in (check_state_directory(tmp_path / "other", {"STATE_DIRECTORY": str(link)}) or "")
