import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hlspub.config.credentials import LONGEST_SECRET, SecretRef
from hlspub.config.fields import BASE
from hlspub.errors import ConfigError, PermissionRefused

SECRET = "s3cr3t-value"  # noqa: S105 -- what the tests look for


def ref(base: Path, **places: str) -> SecretRef:
    return SecretRef.model_validate(places, context={BASE: base})


def keep(path: Path, text: str = SECRET, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_is_read_from_each_of_the_three_places(tmp_path: Path) -> None:
    keep(tmp_path / "s3.secret", SECRET + "\n")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "TOKEN": SECRET}
    for places in ({"credential": "s3.secret"}, {"file": "s3.secret"}, {"env": "TOKEN"}):
        assert ref(tmp_path, **places).resolve(env).get_secret_value() == SECRET


def test_a_secret_does_not_print(tmp_path: Path) -> None:
    secret = ref(tmp_path, env="TOKEN").resolve({"TOKEN": SECRET})
    assert SECRET not in f"{secret} {secret!r} {json.dumps({'s': secret}, default=str)}"


def test_only_the_last_newline_is_taken_away(tmp_path: Path) -> None:
    keep(tmp_path / "a", f" {SECRET} \r\n")
    assert ref(tmp_path, file="a").resolve({}).get_secret_value() == f" {SECRET} "
    keep(tmp_path / "b", f"{SECRET}\n\n")
    assert ref(tmp_path, file="b").resolve({}).get_secret_value() == f"{SECRET}\n"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_file_that_everyone_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    keep(tmp_path / "open", mode=mode)
    with pytest.raises(PermissionRefused, match="may be read by everyone") as why:
        ref(tmp_path, file="open").resolve({})
    assert "chmod" in why.value.hint
    assert SECRET not in str(why.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_a_file_of_the_service_is_taken(tmp_path: Path, mode: int) -> None:
    keep(tmp_path / "own", mode=mode)
    assert ref(tmp_path, file="own").resolve({}).get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("places", "env", "said"),
    [
        ({"env": "TOKEN"}, {}, "TOKEN is empty or not set"),
        ({"env": "TOKEN"}, {"TOKEN": ""}, "TOKEN is empty or not set"),
        ({"file": "absent"}, {}, "absent is not there"),
        ({"file": "."}, {}, "is not there"),
        ({"file": "empty"}, {}, "is empty"),
        ({"file": "long"}, {}, "is longer than"),
        ({"file": "binary"}, {}, "is not text"),
        ({"credential": "x"}, {}, r"\$CREDENTIALS_DIRECTORY is not set"),
        ({"credential": "x"}, {"CREDENTIALS_DIRECTORY": "/absent"}, "'x' is not there"),
    ],
)
def test_a_secret_that_cannot_be_had_says_why(
    tmp_path: Path, places: dict[str, str], env: dict[str, str], said: str
) -> None:
    keep(tmp_path / "empty", "")
    keep(tmp_path / "long", "x" * (LONGEST_SECRET + 1))
    keep(tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=said) as why:
        ref(tmp_path, **places).resolve(env)
    assert why.value.hint


@pytest.mark.parametrize(
    "places", [{}, {"env": "A", "file": "b"}, {"credential": "a/b"}, {"credential": ".."}, {"x": "y"}]
)
def test_a_reference_is_exactly_one_place(tmp_path: Path, places: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ref(tmp_path, **places)
