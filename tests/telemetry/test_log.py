import io
import json
import logging
import os
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from hlspub.telemetry import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def unreachable(url: str) -> None:
    """Fail as a library does: with the URL in the message, and in a local variable that a traceback could show."""
    raise ConnectionError(f"no answer from {url}")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line_in_a_readable_order() -> None:
    out = io.StringIO()
    log.configure("auto", "info", out, {})
    structlog.get_logger().info("root.published", stream="main", size_bytes=3, ok=True, text="zwei\nzeilen é")
    (line,) = lines(out)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "level": "info", "event": "root.published", "stream": "main", "size_bytes": 3, "ok": True,
        "text": "zwei\nzeilen é",
    }  # fmt: skip


def test_the_level_decides_what_is_written() -> None:
    out = io.StringIO()
    log.configure("json", "warning", out, {})
    structlog.get_logger().info("file.taken")
    structlog.get_logger().warning("target.degraded")
    assert [line["event"] for line in lines(out)] == ["target.degraded"]
    log.configure("json", "debug", out, {})
    structlog.get_logger().debug("file.taken")
    assert [line["event"] for line in lines(out)] == ["target.degraded", "file.taken"]


def test_bound_context_comes_along() -> None:
    out = io.StringIO()
    log.configure("json", "info", out, {})
    with structlog.contextvars.bound_contextvars(stream="main"):
        structlog.get_logger().bind(target="local").info("shard.stored")
    (line,) = lines(out)
    assert (line["stream"], line["target"]) == ("main", "local")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_and_no_query_string_is_written(form: log.Format) -> None:
    out = io.StringIO()
    log.configure(form, "debug", out, {})
    secret = "hunter2"  # noqa: S105 -- the word that must not come out
    url = f"https://me:{secret}@host/up?X-Amz-Signature={secret}&a=1#{secret}"
    logger = structlog.get_logger()
    logger.warning("target.degraded", reason=f"PUT {url} failed", token=secret, config={"s3": {"secret_key": secret}})
    logger.warning("config.read", value=SecretStr(secret), url=url)
    logging.getLogger("httpx").info('HTTP Request: PUT %s "HTTP/1.1 403 Forbidden"', url)
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "::1", "GET", f"/x?sig={secret}", "1.1", 200)
    try:
        unreachable(url)
    except ConnectionError:
        logger.exception("daemon.failed")
        logging.getLogger("watchdog").exception("thread died")
    text = out.getvalue()
    assert secret not in text
    assert "?" not in text
    assert text.count("ConnectionError: no answer from https://host/up") == 2


def test_libraries_go_through_the_same_renderer() -> None:
    out = io.StringIO()
    log.configure("json", "info", out, {})
    logging.getLogger("watchdog.observers").warning("queue %s", "overflowed")
    logging.getLogger("httpx").info("HTTP Request: not for operators")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("queue overflowed", "warning", "watchdog.observers")


def test_configuring_again_leaves_one_handler() -> None:
    out = io.StringIO()
    for _ in range(3):
        log.configure("json", "info", out, {})
    logging.getLogger("anything").warning("once")
    assert len(lines(out)) == 1


def test_a_terminal_gets_the_console_in_colour() -> None:
    out = Terminal()
    log.configure("auto", "info", out, {})
    structlog.get_logger().info("daemon.ready", gateway="http://127.0.0.1:8480")
    assert "daemon.ready" in out.getvalue()
    assert "\x1b[" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_no_color_is_honoured() -> None:
    out = Terminal()
    log.configure("auto", "info", out, {"NO_COLOR": "1"})
    structlog.get_logger().info("daemon.ready")
    assert "\x1b[" not in out.getvalue()
    assert "daemon.ready" in out.getvalue()


def test_a_terminal_may_ask_for_json() -> None:
    out = Terminal()
    log.configure("json", "info", out, {})
    structlog.get_logger().info("daemon.ready")
    assert lines(out)[0]["event"] == "daemon.ready"


def test_under_journald_the_priority_replaces_the_timestamp(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w+") as out:
        stat = os.fstat(out.fileno())
        log.configure("auto", "info", out, {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
        structlog.get_logger().warning("target.degraded", target="node")
        structlog.get_logger().info("target.recovered")
        logging.getLogger("watchdog").error("gone")
        out.seek(0)
        written = out.read().splitlines()
    assert [line[:3] for line in written] == ["<4>", "<6>", "<3>"]
    assert [json.loads(line[3:]) for line in written] == [
        {"level": "warning", "event": "target.degraded", "target": "node"},
        {"level": "info", "event": "target.recovered"},
        {"level": "error", "event": "gone", "logger": "watchdog"},
    ]


@pytest.mark.parametrize("value", ["", "1", "1:2", "x:y", ":"])
def test_another_programs_journal_stream_is_not_ours(value: str, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as out:
        assert not log.is_journal(out, {"JOURNAL_STREAM": value})
    assert not log.is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
