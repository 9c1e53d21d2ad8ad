import base64
from pathlib import Path

from hlspub.ipns.key import Key
from hlspub.ipns.name import Name
from hlspub.ucan.principal import Signer
from tests.cli.conftest import Hlspub


def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    return file


def test_a_key_is_made_shown_and_only_printed_when_asked(hlspub: Hlspub, tmp_path: Path) -> None:
    at = ("--config", config(tmp_path))
    made = hlspub("keys", "new", "main", "--json", *at)
    assert made.code == 0, made.err
    assert Name.parse(made.json["id"])
    assert Path(made.json["file"]).stat().st_mode & 0o777 == 0o600
    secret = Path(made.json["file"]).read_text()
    shown = hlspub("keys", "show", *at)
    assert made.json["id"] in shown.out
    assert secret.splitlines()[1] not in made.out + shown.out + shown.err
    assert hlspub("keys", "show", "main", "--private", *at).out == secret
    text = hlspub("keys", "show", "main", "--private", "--format", "w3up", *at).out
    assert Signer.parse(text).did == made.json["did"]


def test_a_key_of_another_program_is_taken_over(hlspub: Hlspub, tmp_path: Path) -> None:
    key = Key.from_seed(bytes(range(32)))
    (tmp_path / "exported").write_bytes(base64.b64encode(key.protobuf()))
    made = hlspub("keys", "new", "main", "--from", tmp_path / "exported", "--config", config(tmp_path))
    name, did = made.out.split()
    assert (made.code, name, did[:12]) == (0, str(key.name), "did:key:z6Mk")


def test_what_goes_wrong_has_its_exit_code(hlspub: Hlspub, tmp_path: Path) -> None:
    at = ("--config", config(tmp_path))
    assert hlspub("keys", "show", "main", *at).code == 66
    assert hlspub("keys", "new", "Main!", *at).code == 64
    assert hlspub("keys", "new", "main", "--from", tmp_path / "nothing", *at).code == 66
    (tmp_path / "empty").write_bytes(b"")
    assert hlspub("keys", "new", "main", "--from", tmp_path / "empty", *at).code == 65
    assert hlspub("keys", "new", "main", *at).code == 0
    assert hlspub("keys", "new", "main", *at).code == 78
    assert hlspub("keys", "show", "--private", *at).code == 64
