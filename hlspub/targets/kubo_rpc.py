"""Kubo's RPC, as far as hlspub speaks it: POST with everything in the query, answers as JSON lines.

Rule: an answer counts when it is whole. An error that comes after the first line of an answer is only in an HTTP trailer,
which no HTTP library of Python's shows; so whoever calls says what the last line has to be, and an answer without it failed.
No `Origin` is ever sent (Kubo takes such a request for a browser's, and refuses it).

Source: docs.ipfs.tech/reference/kubo/rpc, read against Kubo 0.42.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import SecretStr

from hlspub.errors import TargetError
from hlspub.targets import http
from hlspub.targets.multipart import Form

MAX_ANSWER = 4 << 20  # bytes
_DENIED = frozenset({401, 403})
_NO_SUCH_CALL = frozenset({404, 405})
_FAILED = 500  # whatever went wrong; what it was is in the message

Line = Mapping[str, Any]


class Refusal(Exception):  # noqa: N818 -- the adapter reads it and decides
    """What Kubo said in place of an answer (its `Message`)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def authorization(*, token: SecretStr | None, user: str | None, password: SecretStr | None) -> dict[str, str]:
    """The header for a token, or for a user and a password (RFC 6750, RFC 7617); empty without either."""
    if token is not None:
        return {"Authorization": f"Bearer {token.get_secret_value()}"}
    if user is not None and password is not None:
        return {"Authorization": f"Basic {b64encode(f'{user}:{password.get_secret_value()}'.encode()).decode()}"}
    return {}


class KuboRpc:
    """The RPC at `url`, which ends before `/api/v0`; `client` is the caller's to close."""

    def __init__(self, url: str, client: http.AsyncClient, headers: Mapping[str, str]) -> None:
        self.place = http.shown(url)
        self._base = f"{url.rstrip('/')}/api/v0/"
        self._client = client
        self._headers = dict(headers)

    async def call(
        self, command: str, *args: str, last: str | None, upload: Form | None = None, **options: str
    ) -> Line:
        """The last line of the answer, which must have the key `last`; see `lines`."""
        return (await self.lines(command, *args, last=last, upload=upload, **options))[-1]

    async def lines(
        self, command: str, *args: str, last: str | None, upload: Form | None = None, **options: str
    ) -> list[Line]:
        """Call `command` with these arguments and options (dashes as underscores), and read the whole answer.

        Raises:
            Refusal: Kubo says that it did not do it.
            TargetError: it cannot be reached, denies access, or this is no Kubo; or the answer is not whole.
        """
        data = await self._ask(command, args, upload, options)
        try:
            lines = [cast("Line", http.document(line)) for line in data.splitlines() if line.strip()]
        except ValueError as why:
            raise self._strange(command, data) from why
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise self._strange(command, data)
        if "Message" in lines[-1] and lines[-1].get("Type") == "error":
            raise Refusal(str(lines[-1]["Message"]))
        if last is not None and last not in lines[-1]:
            raise TargetError(
                f"{self.place}: the answer to {command} ends early", retry_s=http.RETRY_S, hint="It failed on the way."
            )
        return lines

    async def block(self, cid: str, limit: int) -> bytes:
        """The bytes of `block/get`, from this node alone; raises what `lines` does."""
        return await self._ask("block/get", (cid,), None, {"offline": "true"}, limit)

    async def _ask(
        self, name: str, args: Sequence[str], upload: Form | None, options: Mapping[str, str], limit: int = MAX_ANSWER
    ) -> bytes:
        query = (*(("arg", arg) for arg in args), *((key.replace("_", "-"), value) for key, value in options.items()))
        headers = self._headers | (upload.headers if upload else {})
        with http.failures(self.place):
            async with self._client.stream(
                "POST",
                self._base + name,
                params=query,
                headers=headers,
                content=upload.body() if upload else None,
            ) as response:
                if response.is_success:
                    return await http.read_bounded(response, limit, self.place)
                raise await self._refused(response, name)

    async def _refused(self, response: http.Response, name: str) -> TargetError | Refusal:
        status = response.status_code
        if status in _DENIED:
            return TargetError(
                f"{self.place}: {name} is denied (HTTP {status})",
                retry_s=None,
                hint="Check the token or password, and AllowedPaths in the node's API.Authorizations.",
            )
        if status in _NO_SUCH_CALL:
            return TargetError(
                f"{self.place}: there is no {name} (HTTP {status})",
                retry_s=None,
                hint="Is this Kubo's RPC (port 5001), not its gateway? What a service lacks goes into `lacks`.",
            )
        if status == _FAILED:
            data = await http.read_bounded(response, MAX_ANSWER, self.place)
            try:
                said = http.document(data)
                return Refusal(str(said["Message"]))
            except (ValueError, KeyError, TypeError):
                text = " ".join(data[:200].decode(errors="replace").split())
                return TargetError(
                    f"{self.place}: HTTP {status}: {text}", retry_s=http.RETRY_S, hint="It is tried again."
                )
        return await http.refusal(response, self.place)

    def _strange(self, name: str, data: bytes) -> TargetError:
        text = " ".join(data[:80].decode(errors="replace").split())
        return TargetError(
            f"{self.place}: no answer of Kubo's to {name}: {text}",
            retry_s=http.RETRY_S,
            hint="Is the URL right, and nothing in between that answers for it?",
        )
