"""What the commands make of names and hooks: check reaches and looks, status shows, publish moves and tells."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlspub.cli.status import text
from hlspub.ipns.key import Key
from hlspub.ipns.name import Name
from hlspub.ipns.record import read
from hlspub.names import keyring
from tests.cli.conftest import Hlspub
from tests.hooks.receiver import SECRET_TEXT, Receiver, receiving
from tests.names.router import RouterServer, routing
from tests.support.kubo import kubo_daemon
from tests.support.writer import Writer

KEY = Key.from_seed(bytes(range(32)))
ID = str(KEY.name)


@pytest.fixture
def router() -> Iterator[RouterServer]:
    with routing() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def configured(tmp_path: Path, router: str, hooks: str = "") -> Path:
    """A stream "main" with a name, and a router of each kind at that URL."""
    (tmp_path / "hls").mkdir(exist_ok=True)
    (tmp_path / "secret").write_text(SECRET_TEXT)
    (tmp_path / "secret").chmod(0o600)
    file = tmp_path / "config.toml"
    routers = f'[router.public]\nkind = "delegated"\nurl = "{router}"\n'
    stream = '[stream.main]\npath = "hls"\nname = "show"\n[name.show]\n'
    file.write_text(f'data_dir = "data"\n{stream}{routers}[gateway]\nlisten = "off"\n{hooks}')
    return file


def webhook(receiver: Receiver, file: str = "secret") -> str:
    return f'[hook.ci]\nkind = "webhook"\nurl = "{receiver.url}"\nsecret = {{ file = "{file}" }}\n'


def findings(hlspub: Hlspub, config: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    told = hlspub("check", "--config", config, "--json")
    return told.code, {one["what"]: (one["state"], one["text"]) for one in told.json["findings"]}


def test_check_reaches_routers_and_looks_at_keys_secrets_and_programs(
    hlspub: Hlspub, tmp_path: Path, router: RouterServer, receiver: Receiver
) -> None:
    program = '[hook.mail]\nkind = "command"\ncommand = ["/bin/true"]\n'
    config = configured(tmp_path, router.url, webhook(receiver) + program)
    keyring.keep(tmp_path / "data", "show", KEY)
    code, found = findings(hlspub, config)
    assert code == 0
    assert found["name.show"] == ("ok", ID)
    assert found["router.public"][0] == "ok"
    assert "it has 0 of 1 names" in found["router.public"][1]
    assert found["hook.ci"] == ("ok", f"signs for http://127.0.0.1:{receiver.server_port}/; nothing was sent")
    assert found["hook.mail"] == ("ok", "/bin/true can be run; it was not")
    assert (router.puts, receiver.got) == ([], [])


def test_check_says_what_would_not_work(hlspub: Hlspub, tmp_path: Path, receiver: Receiver) -> None:
    with routing() as gone:
        url = gone.url
    (tmp_path / "no-program").write_text("text")
    programs = "".join(
        f'[hook.{name}]\nkind = "command"\ncommand = ["./{path}"]\n'
        for name, path in (("absent", "absent"), ("mode", "no-program"))
    )
    config = configured(tmp_path, url, webhook(receiver, "no-secret") + programs)
    (tmp_path / "no-secret").write_text("password")
    (tmp_path / "no-secret").chmod(0o600)
    code, found = findings(hlspub, config)
    assert code == 69
    assert {
        what: state for what, (state, _) in found.items() if what.partition(".")[0] in {"name", "router", "hook"}
    } == {
        "name.show": "error",
        "router.public": "warning",  # nothing waits for it
        "hook.ci": "error",
        "hook.absent": "error",
        "hook.mode": "error",
    }
    assert "hlspub keys new show" in found["name.show"][1]
    assert "no connection" in found["router.public"][1]
    assert "openssl rand" in found["hook.ci"][1]
    assert "password" not in found["hook.ci"][1]


def test_check_says_that_a_router_refuses(hlspub: Hlspub, tmp_path: Path, router: RouterServer) -> None:
    router.wanted = "Bearer something"
    keyring.keep(tmp_path / "data", "show", KEY)
    _, found = findings(hlspub, configured(tmp_path, router.url))
    assert found["router.public"][0] == "warning"
    assert "HTTP 401" in found["router.public"][1]


@pytest.mark.kubo
def test_check_finds_name_put_at_kubo(hlspub: Hlspub, tmp_path: Path) -> None:
    secret = {"AuthSecret": "bearer:right", "AllowedPaths": ["/api/v0/name"]}
    with kubo_daemon(tmp_path / "kubo", settings={"API.Authorizations": {"hlspub": secret}}) as node:
        config = configured(tmp_path, node.url)
        keyring.keep(tmp_path / "data", "show", KEY)
        for token, state in (("right", "ok"), ("wrong", "warning")):
            (tmp_path / "secret").write_text(token)
            text = config.read_text().replace('kind = "delegated"', 'kind = "kubo"\ntoken = { file = "secret" }')
            (tmp_path / "kubo.toml").write_text(text)
            _, found = findings(hlspub, tmp_path / "kubo.toml")
            assert found["router.public"][0] == state, found["router.public"]


def test_publish_moves_the_name_and_tells_the_hooks(
    hlspub: Hlspub, tmp_path: Path, router: RouterServer, receiver: Receiver
) -> None:
    config = configured(tmp_path, router.url, webhook(receiver))
    keyring.keep(tmp_path / "data", "show", KEY)
    Writer(tmp_path / "show", ("a",)).step(3).end()
    done = hlspub("publish", tmp_path / "show", "--name", "main", "--config", config, "--json")
    assert (done.code, done.err) == (0, done.err)
    root = done.json["root"]
    assert read(Name.parse(ID), router.records[ID]).value == f"/ipfs/{root}"
    (message,) = receiver.taken
    assert (message.wrong, message.data["root"], message.data["final"]) == (None, root, True)
    (name,), (hook,) = done.json["names"], done.json["hooks"]
    assert (name["id"], name["root"], name["routers"][0]["state"]) == (ID, root, "ok")
    assert (hook["name"], hook["state"], hook["pending"]) == ("ci", "ok", 0)
    shown = hlspub("publish", tmp_path / "show", "--name", "main", "--config", config).out
    assert f"ipns://{ID}\n" in shown
    assert "hook ci" in shown

    after = hlspub("status", "--config", config, "--json").json  # without a daemon
    assert after["names"][0]["expires"].endswith("+00:00")
    assert after["hooks"][0]["told_at"] is not None
    text = hlspub("status", "--config", config).out
    assert f"names\n  show  {ID}" in text
    assert f"-> {root}, until 20" in text
    assert "hooks\n  ci  ok  told" in text


def test_what_nobody_takes_now_waits(hlspub: Hlspub, tmp_path: Path, receiver: Receiver) -> None:
    with routing() as gone:
        url = gone.url
    receiver.always = 500
    config = configured(tmp_path, url, webhook(receiver))
    keyring.keep(tmp_path / "data", "show", KEY)
    Writer(tmp_path / "show", ("a",)).step(3).end()
    done = hlspub("publish", tmp_path / "show", "--name", "main", "--config", config)
    assert done.code == 0  # it is published
    assert f"ipns://{ID} (sent later: public degraded)" in done.out
    assert "degraded: told later" in done.out
    assert "1 publications wait" in hlspub("status", "--config", config).out


def test_a_name_without_its_key_is_refused_before_anything_is_published(
    hlspub: Hlspub, tmp_path: Path, router: RouterServer
) -> None:
    Writer(tmp_path / "show", ("a",)).step(3).end()
    config = configured(tmp_path, router.url)
    done = hlspub("publish", tmp_path / "show", "--name", "main", "--config", config)
    assert (done.code, done.out) == (66, "")
    assert "hlspub keys new show" in done.err


def told(**more: Any) -> str:
    return text({"daemon": "running", "data_dir": "/d", "streams": [], "targets": []} | more, 1000.0)


def test_status_tells_names_and_hooks_in_lines() -> None:
    routers = [
        {"name": "node", "state": "ok", "sent_at": 990.0, "error": None},
        {"name": "public", "state": "degraded", "sent_at": None, "error": "HTTP 503", "next_try_in_seconds": 9.0},
    ]
    name = {
        "name": "show",
        "id": "k51q",
        "root": "bafyroot",
        "expires": "2026-11-28T10:00:00+00:00",
        "routers": routers,
    }
    fresh = {"name": "new", "id": "k51z", "root": None, "expires": None, "routers": []}
    hook = {"name": "ci", "state": "degraded", "pending": 2, "oldest_pending_seconds": 70.0, "told_at": 900.0}
    hook |= {"error": "HTTP 500", "next_try_in_seconds": 3.0}
    assert told(names=[name, fresh], hooks=[hook]).partition("followed yet\n\n")[2] == (
        "names\n"
        "  show  k51q                -> bafyroot, until 2026-11-28T10:00:00+00:00\n"
        "          node  ok          sent 10 s ago\n"
        "          public  degraded  not sent yet; HTTP 503; next try in 9 s\n"
        "  new   k51z                leads nowhere yet\n\n"
        "hooks\n"
        "  ci  degraded  2 publications wait, the oldest for 1 min 10 s; told 1 min 40 s ago; HTTP 500; next try in 3 s"
    )
