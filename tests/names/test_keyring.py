from pathlib import Path

import pytest

from hlspub.errors import ConfigError, InputError, IpnsError, PermissionRefused
from hlspub.ipns.key import Key
from hlspub.names import keyring

KEY = Key.from_seed(bytes(range(32)))


def test_a_key_is_kept_for_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    path = keyring.keep(tmp_path, "main", KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert keyring.find(tmp_path, "main") == KEY
    assert keyring.names(tmp_path) == ["main"]
    with pytest.raises(ConfigError, match="already"):
        keyring.keep(tmp_path, "main", Key.from_seed(bytes(32)))
    assert keyring.find(tmp_path, "main") == KEY


def test_what_is_not_there_not_closed_or_no_key_is_refused(tmp_path: Path) -> None:
    assert keyring.names(tmp_path) == []
    with pytest.raises(InputError, match="no key main"):
        keyring.find(tmp_path, "main")
    path = keyring.keep(tmp_path, "main", KEY)
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(PermissionRefused, match="others"):
            keyring.find(tmp_path, "main")
    path.chmod(0o600)
    path.write_bytes(b"nothing")
    with pytest.raises(IpnsError):
        keyring.find(tmp_path, "main")
