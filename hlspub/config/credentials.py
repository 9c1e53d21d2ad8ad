"""Secrets by reference: where a key or token is, never what it is (P8).

Rule: the configuration names a place, `{ credential = "name" }` (systemd's LoadCredential), `{ file = "/…" }` or
`{ env = "NAME" }`; the value is read when it is needed and travels as a `SecretStr`, which prints as stars. A file that
others may read is refused: it is no secret.
"""

import os
import stat
from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator

from hlspub.config.fields import AbsolutePath, Section
from hlspub.config.places import Environment
from hlspub.errors import ConfigError, PermissionRefused

LONGEST_SECRET = 64 << 10  # bytes; a longer file is the wrong file


class SecretRef(Section, frozen=True):
    """Where a secret is; exactly one of the three."""

    credential: str | None = None
    file: AbsolutePath | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(place is not None for place in (self.credential, self.file, self.env)) != 1:
            raise ValueError('a secret is one of { credential = "…" }, { file = "/…" } or { env = "…" }')
        if self.credential is not None and ("/" in self.credential or self.credential in {"", ".", ".."}):
            raise ValueError("a credential is a plain name, as in LoadCredential=NAME:PATH")
        return self

    def resolve(self, env: Environment) -> SecretStr:
        """Read the secret; the newline that editors add at a file's end does not count.

        Raises:
            ConfigError: there is no such credential, file or variable, or it is empty.
            PermissionRefused: the file may be read by others, or not by this user.
        """
        if self.env is not None:
            return _whole(env.get(self.env, ""), f"the environment variable {self.env}")
        if self.file is not None:
            return _from_file(self.file, f"the secret file {self.file}")
        directory = env.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ConfigError(
                f"the credential {self.credential!r} is not there: $CREDENTIALS_DIRECTORY is not set",
                hint=f"Add LoadCredential={self.credential}:/PATH to the unit, or use {{ file = … }} outside systemd.",
            )
        return _from_file(Path(directory, self.credential or ""), f"the credential {self.credential!r}")


def _from_file(path: Path, what: str) -> SecretStr:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                raise PermissionRefused(f"{what} may be read by everyone", hint=f"chmod o= {path}")
            raw = file.read(LONGEST_SECRET + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as why:
        raise ConfigError(f"{what} is not there", hint=f"It was looked for at {path}.") from why
    except PermissionError as why:
        raise PermissionRefused(f"{what} may not be read by this user", hint=f"See the mode of {path}.") from why
    if len(raw) > LONGEST_SECRET:
        raise ConfigError(f"{what} is longer than {LONGEST_SECRET} bytes", hint=f"Is {path} the right file?")
    try:
        return _whole(raw.decode().removesuffix("\n").removesuffix("\r"), what)
    except UnicodeDecodeError:
        raise ConfigError(f"{what} is not text", hint=f"Is {path} the right file?") from None


def _whole(value: str, what: str) -> SecretStr:
    if not value:
        raise ConfigError(f"{what} is empty or not set", hint="Put the secret there, or leave the key out.")
    return SecretStr(value)
