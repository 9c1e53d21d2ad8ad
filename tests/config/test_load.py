"""The file as a whole: what is accepted, and that every mistake is shown at once, each with its place."""

import re
from pathlib import Path

import pytest

from hlspub.config.fields import Listen
from hlspub.config.kinds import KINDS
from hlspub.config.load import defaults, load, parse
from hlspub.config.places import Places
from hlspub.errors import ConfigError, ExitCode

FILE = Path("/etc/test/config.toml")
ENV = {"HOME": "/home/u"}
MINIMAL = '[stream.main]\npath = "/srv/hls"\n'


def mistakes(text: str, env: dict[str, str] | None = None) -> list[str]:
    """The lines of the report, without the one that counts them."""
    with pytest.raises(ConfigError) as why:
        parse(text, FILE, ENV if env is None else env)
    assert why.value.exit_code == ExitCode.CONFIG
    count, *lines = str(why.value).split("\n")
    assert count == ("one mistake" if len(lines) == 1 else f"{len(lines)} mistakes") + " in the configuration"
    return lines


def mistake(text: str, env: dict[str, str] | None = None) -> str:
    (line,) = mistakes(text, env)
    return line


def test_two_lines_are_a_configuration() -> None:
    config = parse(MINIMAL, FILE, ENV)
    assert config.stream["main"].path == Path("/srv/hls")
    assert config.data_dir == Path("/home/u/.local/state/hlspub")
    assert config.required_targets() == ("local",)
    assert config.confirmations_needed() == 1


def test_every_kind_of_value_is_read() -> None:
    config = parse(
        """
        data_dir = "../data"
        log_level = "debug"
        [stream.cam-1_a]
        path = "hls"
        entry = "sub/index.m3u8"
        retention = "window"
        publish_interval = "off"
        end_on = []
        idle = "1h30m"
        include = ["poster.jpg", "thumbs/*.jpg"]
        publish_keys = true
        [publish]
        quorum = 1
        profile = "unixfs-v0-2015"
        [gateway]
        listen = "[::1]:0"
        [limits]
        playlist_size = "1MiB"
        """,
        FILE,
        ENV,
    )
    stream = config.stream["cam-1_a"]
    assert config.data_dir.resolve() == Path("/etc/data")
    assert stream.path == Path("/etc/test/hls")
    assert (stream.publish_interval, stream.idle, stream.end_on) == (None, 5400.0, ())
    assert stream.include == ("poster.jpg", "thumbs/*.jpg")
    assert stream.publish_keys
    assert (config.publish.quorum, config.publish.profile) == (1, "unixfs-v0-2015")
    assert config.gateway.listen == Listen("::1", 0)
    assert config.limits.playlist_size == 1 << 20


@pytest.mark.parametrize("listen", ["127.0.0.1:8480", "[::1]:8480", "0.0.0.0:80", "localhost:0"])
def test_an_address_prints_as_it_is_written(listen: str) -> None:
    assert str(parse(f'[gateway]\nlisten = "{listen}"', FILE, ENV).gateway.listen) == listen


def test_the_gateway_can_be_off() -> None:
    assert parse('[gateway]\nlisten = "off"', FILE, ENV).gateway.listen is None


def test_three_mistakes_are_shown_at_once_with_file_line_key_value_reason_and_nearest_match() -> None:
    assert mistakes(
        """\
[stream.main]
path = "hls"
idel = "5m"
publish_interval = 10

[gatway]
listen = "127.0.0.1:8480"
"""
    ) == [
        f'{FILE}:3 stream.main.idel = "5m": there is no such key in [stream.main]. Did you mean "idle"?',
        f'{FILE}:4 stream.main.publish_interval = 10: expected a duration like "10s", or "off", in quotes.',
        f'{FILE}:6 gatway: there is no such key in the configuration. Did you mean "gateway"?',
    ]


# one mistake each: the text, and what is said after "FILE:"
ONE_MISTAKE = [
    (
        'log_level = "inof"',
        '1 log_level = "inof": expected "debug" or "info" or "warning" or "error". Did you mean "info"?',
    ),
    ("data_dir = 3", "1 data_dir = 3: expected a path in quotes."),
    ('data_dir = ""', '1 data_dir = "": a path cannot be empty.'),
    ('data_dir = "~/x"', '1 data_dir = "~/x": ~ is not expanded: write the whole path.'),
    ("stream = 1", "1 stream = 1: expected a table: write it under [stream]."),
    ("[stream]\nmain = 1", "2 stream.main = 1: belongs into a table [stream.NAME]."),
    ("gateway = true", "1 gateway = true: expected a table: write it under [gateway]."),
    ("[stream.main]", "1 stream.main.path: is missing."),
    (
        '[stream.Main]\npath = "/a"',
        "1 stream.Main: a name is made of a-z, 0-9, _ and -, and begins with a letter or digit.",
    ),
    (
        '[stream."-a"]\npath = "/a"',
        "1 stream.-a: a name is made of a-z, 0-9, _ and -, and begins with a letter or digit.",
    ),
    (MINIMAL + "publish_keys = 1", "3 stream.main.publish_keys = 1: expected true or false."),
    (MINIMAL + 'idle = "0s"', '3 stream.main.idle = "0s": must be 1s or longer.'),
    (MINIMAL + 'publish_interval = "1ms"', '3 stream.main.publish_interval = "1ms": must be 100ms or longer.'),
    (MINIMAL + 'rescan = "5"', '3 stream.main.rescan = "5": a duration has a unit: "10s", "500ms", "1h30m", "2d".'),
    (
        MINIMAL + 'entry = "a.html"',
        '3 stream.main.entry = "a.html": expected "auto" or the name of a playlist (.m3u8).',
    ),
    (MINIMAL + 'end_on = "idle"', '3 stream.main.end_on = "idle": expected a list like ["…", "…"].'),
    (
        MINIMAL + 'end_on = ["idle", "sigal"]',
        '3 stream.main.end_on = ["idle", "sigal"]: item 2: expected "endlist" or "signal" or "idle". Did you mean "signal"?',
    ),
    ("[publish]\nquorum = 0", '2 publish.quorum = 0: expected "all" or a number, 1 or more.'),
    ("[publish]\nquorum = true", '2 publish.quorum = true: expected "all" or a number, 1 or more.'),
    ("[publish]\nquorum = 2", "2 publish.quorum = 2: only 1 target is required: local."),
    ("[target.local]\nrequired = false", "1 target: no target is required, so no root could ever count as published."),
    ('[gateway]\nlisten = "8480"', '2 gateway.listen = "8480": expected "HOST:PORT", "[IPV6]:PORT" or "off".'),
    ('[gateway]\nlisten = "::1:8480"', '2 gateway.listen = "::1:8480": expected "HOST:PORT", "[IPV6]:PORT" or "off".'),
    (
        '[gateway]\nlisten = "unix:/a:1"',
        '2 gateway.listen = "unix:/a:1": expected "HOST:PORT", "[IPV6]:PORT" or "off".',
    ),
    ('[gateway]\nlisten = "h:65536"', '2 gateway.listen = "h:65536": the port must be a number from 0 to 65535.'),
    ("[limits]\nhash_threads = 0", "2 limits.hash_threads = 0: must be 1 or more."),
    ("[limits]\nhash_threads = true", "2 limits.hash_threads = true: expected a whole number."),
    ("[limits]\nhash_threads = 1.5", "2 limits.hash_threads = 1.5: expected a whole number."),
    (
        '[stream.a]\npath = "/a"\ntargets = ["locl"]',
        "3 stream.a.targets = [\"locl\"]: there is no such target as 'locl', only: local.",
    ),
    (
        '[stream.a]\npath = "/a"\n[stream.b]\npath = "/b"\n[target.local]\nrequired = false',
        "5 target: no target is required, so no root could ever count as published.",
    ),
    (
        '[target.node]\nkind = ["kubo"]',
        (
            '2 target.node.kind = ["kubo"]: there is no such kind of target in this version, only: '
            'local, s3, kubo, cluster, w3up. Did you mean "kubo"?'
        ),
    ),
    (
        '[target.node]\nkind = "floppy"',
        '2 target.node.kind = "floppy": there is no such kind of target in this version, only: '
        + ", ".join(KINDS)
        + ".",
    ),
    ("[target.node]", f"1 target.node.kind: is missing: one of {', '.join(KINDS)}."),
    (
        '[target.node]\nkind = "kubo"\nurl = "http://me:secret@node:5001"',
        (
            '3 target.node.url = "http://…@node:5001": a user, password, query or fragment does not belong into the URL; '
            "the table has keys for secrets."
        ),
    ),
    (
        '[target.node]\nkind = "kubo"\nurl = "node:5001"',
        '3 target.node.url = "node:5001": expected a URL like "http://127.0.0.1:5001".',
    ),
    ('[target.node]\nkind = "kubo"\nuser = "me"', "1 target.node: user and password go together."),
    (
        '[target.node]\nkind = "kubo"\ntoken = "secret"',
        "3 target.node.token = (not shown): expected a table.",
    ),
    (
        '[target.disk]\nkind = "local"',
        '2 target.disk.kind = "local": the one store of this kind is [target.local], and it has no other kind.',
    ),
]


@pytest.mark.parametrize(("text", "said"), ONE_MISTAKE)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    assert mistake(text) == f"{FILE}:{said}"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", ""])
def test_what_is_included_stays_in_the_directory(path: str) -> None:
    assert "must be relative to the stream's directory" in mistake(MINIMAL + f'include = ["{path}"]')


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[target.local]\nkeep = "none"', "follows from [publish] keep_roots and keep_sessions"),
    ],
)
def test_what_this_version_does_not_have_is_refused_with_a_sentence(line: str, said: str) -> None:
    told = mistake(MINIMAL + line)
    assert "not in this version" in told
    assert said in told


@pytest.mark.parametrize("key", ["keep", "max_size"])
def test_settings_of_the_local_store_that_come_later_are_refused(key: str) -> None:
    assert "not in this version" in mistake(f'[target.local]\n{key} = "all"')


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("/a", "/a", "the same directory as"),
        ("/a", "/a/b", "inside"),
        ("/a/b", "/a", "around"),
        ("/a", "/x/../a", "the same"),
    ],
)
def test_streams_lie_apart(one: str, other: str, relation: str) -> None:
    told = mistake(f'[stream.one]\npath = "{one}"\n[stream.two]\npath = "{other}"')
    assert told.startswith(f'{FILE}:4 stream.two.path = "{other}": is {relation}')
    assert "stream.one.path" in told


def test_streams_that_only_look_apart_are_found_out(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    told = mistake(f'[stream.one]\npath = "{tmp_path}/real"\n[stream.two]\npath = "{tmp_path}/link/sub"')
    assert "is inside stream.one.path" in told


def test_names_that_begin_alike_are_apart() -> None:
    parse('[stream.one]\npath = "/a/hls"\n[stream.two]\npath = "/a/hls2"', FILE, ENV)


def test_the_data_directory_lies_apart_from_the_streams() -> None:
    assert "is around data_dir (/srv/hls/.data)" in mistake('data_dir = "/srv/hls/.data"\n' + MINIMAL)
    assert "is inside data_dir" in mistake('data_dir = "/srv"\n' + MINIMAL)


def test_a_mistake_elsewhere_does_not_hide_a_shared_directory() -> None:
    told = mistakes('[stream.one]\npath = "/a"\nx = 1\n[stream.two]\npath = "/a"\n[limits]\ny = 1')
    assert [re.sub(r":\d+ .*", "", line) for line in told] == [str(FILE)] * 3
    assert "the same directory as stream.one.path" in told[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('access_token = "hunter2-hunter2"', "access_token = (not shown)"),
        ('tokens = ["hunter2"]', "tokens = (not shown)"),
        ('secret_access_key = "hunter2"', "secret_access_key = (not shown)"),
        ('url = "https://me:hunter2@host/x"', 'url = "https://…@host/x"'),
    ],
)
def test_a_secret_that_was_written_down_is_not_shown(line: str, told: str) -> None:
    report = mistake(MINIMAL + line)
    assert told in report
    assert "hunter2" not in report


def test_a_long_value_is_cut() -> None:
    assert len(mistake(MINIMAL + f'entry = "{"x" * 5000}"')) < 300


def test_toml_that_does_not_parse_names_the_line() -> None:
    with pytest.raises(ConfigError, match=rf"^{FILE}:2: not TOML: "):
        parse("a = 1\nb = \n", FILE, ENV)
    with pytest.raises(ConfigError, match=rf"^{FILE}.*: not TOML: "):
        parse('a = """', FILE, ENV)


def test_the_service_managers_directory_must_agree() -> None:
    told = mistake('data_dir = "/srv/data"', {"STATE_DIRECTORY": "/var/lib/hlspub"})
    assert told.startswith(f'{FILE}:1 data_dir = "/srv/data": ')
    assert "$STATE_DIRECTORY" in told
    parse('data_dir = "/var/lib/hlspub"', FILE, {"STATE_DIRECTORY": "/var/lib/hlspub"})


def test_without_a_home_the_data_directory_must_be_named() -> None:
    assert mistake(MINIMAL, {}) == f"{FILE} data_dir: is missing."


def test_loading_finds_the_file_and_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('data_dir = "d"\n[stream.main]\npath = "hls"\n')
    config = load(None, {"HLSPUB_CONFIG": str(file)})
    assert (config.data_dir, config.stream["main"].path) == (tmp_path / "d", tmp_path / "hls")


def test_a_relative_file_name_anchors_paths_at_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.toml").write_text('data_dir = "d"')
    monkeypatch.chdir(tmp_path)
    assert load(Path("c.toml"), ENV).data_dir == tmp_path / "d"


def test_no_configuration_anywhere_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration") as why:
        load(None, {"HOME": str(tmp_path)}, Places(tmp_path / "none", tmp_path))
    assert "hlspub init" in why.value.hint


def test_defaults_need_no_file(tmp_path: Path) -> None:
    config = defaults(tmp_path, {})
    assert (config.data_dir, dict(config.stream), config.required_targets()) == (tmp_path, {}, ("local",))
    assert defaults(None, ENV, Places(tmp_path / "none", tmp_path)).data_dir == Path("/home/u/.local/state/hlspub")


def test_a_bucket_is_reached_by_a_url_with_a_host() -> None:
    told = mistakes('[target.store]\nkind = "s3"\nbucket = "hls"\nendpoint = "http://"')
    assert any('target.store.endpoint = "http://": expected a URL' in line for line in told)
