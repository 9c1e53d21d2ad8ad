"""`hlspub version`: what is installed here."""

import importlib
import importlib.metadata
import platform

from hlspub import __version__
from hlspub.cli.common import define, emit, json_option

LIBRARIES = (
    "anyio",
    "click",
    "cryptography",
    "httptools",
    "httpx",
    "libipld",
    "m3u8",
    "mmh3",
    "multiformats",
    "prometheus-client",
    "pydantic",
    "starlette",
    "structlog",
    "uvicorn",
    "watchdog",
)


@define("version")
@json_option
def command(as_json: bool) -> None:
    """Print the version.

    With --json also the versions of Python, SQLite and the libraries in use.

    Example:  hlspub version --json
    Exit codes: 0.
    """
    answer: dict[str, object] = {"hlspub": __version__}
    if as_json:
        answer |= {
            "python": platform.python_version(),
            "sqlite": importlib.import_module("sqlite3").sqlite_version,
            "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        }
    emit(answer, as_json=as_json, text=f"hlspub {__version__}")
