"""The allocator's arenas, counted by the C library itself."""

import platform
import subprocess
import sys

import pytest

from hlspub.telemetry import allocator

PROGRAM = """
import ctypes, sys, threading
from hlspub.telemetry import allocator
bound = sys.argv[1] == "bound"
assert not bound or allocator.settle()
gate = threading.Barrier(9)
def work():
    held = [bytes(1000 + n) for n in range(1000)]
    gate.wait()
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for one in threads:
    one.start()
gate.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
gate.wait()
"""


def arenas(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.count("<heap nr=")


def test_the_arenas_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("no glibc")
    assert arenas("bound") <= 2 < arenas("free")


@pytest.mark.parametrize(("name", "value"), [("MALLOC_ARENA_MAX", "7"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=7")])
def test_what_the_operator_set_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not allocator.settle()
