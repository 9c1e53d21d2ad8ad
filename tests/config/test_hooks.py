from pathlib import Path

import pytest

from hlspub.config.change import diff, without_restart
from hlspub.config.hooks import CommandHook, Webhook
from hlspub.config.load import parse
from hlspub.config.model import Config
from hlspub.errors import ConfigError

STREAMS = '[stream.a]\npath = "/srv/a"\n[stream.b]\npath = "/srv/b"\nlayout = "nested"\n'
WEBHOOK = '[hook.ci]\nkind = "webhook"\nurl = "https://ci.example/x"\nsecret = { env = "SECRET" }\n'


def load(text: str) -> Config:
    return parse(text, Path("/etc/hlspub/config.toml"), {})


def test_hooks_of_both_kinds() -> None:
    config = load(STREAMS + WEBHOOK + '[hook.mail]\nkind = "command"\ncommand = ["bin/told", "-v"]\nstreams = ["b"]\n')
    ci, mail = config.hook["ci"], config.hook["mail"]
    assert isinstance(ci, Webhook)
    assert (ci.url, ci.timeout, ci.give_up) == ("https://ci.example/x", 15.0, 259_200.0)
    assert isinstance(mail, CommandHook)
    assert mail.command == ("/etc/hlspub/bin/told", "-v")
    assert config.hooks_of("a") == ("ci",)
    assert config.hooks_of("b/show") == ("ci", "mail")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[hook.ci]\n", "hook.ci.kind: is missing: one of webhook, command"),
        ('[hook.ci]\nkind = "webhok"\n', 'Did you mean "webhook"'),
        (WEBHOOK + 'streams = ["c"]\n', r"there is no \[stream.c\]"),
        (WEBHOOK.replace("https://", "ftp://"), "expected a URL"),
        (WEBHOOK.replace("ci.example", "me:pass@ci.example"), "does not belong into the URL"),
        (WEBHOOK.replace('{ env = "SECRET" }', '"whsec_AAAA"'), "hook.ci.secret"),
        (WEBHOOK + "timout = 3\n", 'Did you mean "timeout"'),
        ('[hook.ci]\nkind = "webhook"\nurl = "https://x.example"\n', "secret"),
        ('[hook.ci]\nkind = "command"\ncommand = "told --now"\n', "expected a list"),
        ('[hook.ci]\nkind = "command"\ncommand = []\n', "expected a list"),
        ('[hook.ci]\nkind = "command"\ncommand = ["told"]\n', "program's path"),
        ('[hook.ci]\nkind = "command"\ncommand = ["~/told"]\n', "program's path"),
        ('[hook.ci]\nkind = "command"\ncommand = ["/told", 3]\n', "hook.ci.command"),
    ],
)
def test_a_mistake_is_named(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        load(STREAMS + text)
    assert "whsec_AAAA" not in str(caught.value)


def test_hooks_change_at_once() -> None:
    old, new = load(STREAMS + WEBHOOK), load(STREAMS + WEBHOOK.replace("/x", "/y"))
    assert [one.key for one in diff(old, new).at_once] == ["hook"]
    assert not diff(old, new).restart
    assert without_restart(old, new).hook == new.hook
    assert without_restart(old, load(STREAMS)).hook == {}
