"""The REST API of IPFS Cluster, as far as hlspub speaks it.

Rule: an answer is one JSON document or it failed. Uploads ask for `stream-channels=false`: then an error is a status and not a
trailer. A pin that is not in the pinset is no failure: the call answers None.

Source: ipfscluster.io/documentation/reference/api, read against 1.1.6.
"""

from collections.abc import Mapping
from typing import Any, cast

from hlspub.errors import TargetError
from hlspub.targets import http
from hlspub.targets.multipart import Form

MAX_ANSWER = 4 << 20  # bytes
_DENIED = frozenset({401, 403})
_ABSENT, _BAD = 404, 400
_NOT_IN_PINSET = "not part of the pinset"
_DAMAGED = "mismatch in content integrity"
_HINT = "Is this the REST API of IPFS Cluster (port 9094)?"


class ClusterRest:
    """The API at `url`; `client` is the caller's to close."""

    def __init__(self, url: str, client: http.AsyncClient, headers: Mapping[str, str]) -> None:
        self.place = http.shown(url)
        self._base = url.rstrip("/")
        self._client = client
        self._headers = dict(headers)

    async def ask(
        self, method: str, path: str, options: Mapping[str, str] | None = None, *, upload: Form | None = None
    ) -> Any:
        """The answer; None where the pin that is asked about is not in the pinset.

        Raises:
            TargetError: the cluster cannot be reached, refuses or fails, or this is no cluster.
        """
        query = {key.replace("_", "-"): value for key, value in (options or {}).items()}
        headers = self._headers | (upload.headers if upload else {})
        with http.failures(self.place):
            async with self._client.stream(
                method,
                f"{self._base}/{path}",
                params=query,
                headers=headers,
                content=upload.body() if upload else None,
            ) as response:
                status, data = response.status_code, await http.read_bounded(response, MAX_ANSWER, self.place)
                asked_s = http.retry_after(response)
        answer = _document(data)
        said = str(cast("Mapping[str, Any]", answer).get("message", "")) if _is_object(answer) else ""
        said = said or " ".join(data[:80].decode(errors="replace").split())
        if response.is_success:
            if answer is None:
                raise TargetError(f"{self.place}: no answer of a cluster's: {said}", retry_s=http.RETRY_S, hint=_HINT)
            return answer
        if status == _ABSENT and _NOT_IN_PINSET in said:
            return None
        raise self._refused(status, said, asked_s)

    def _refused(self, status: int, said: str, asked_s: float) -> TargetError:
        what = f"{self.place}: HTTP {status}: {said}"
        if status in _DENIED:
            return TargetError(what, retry_s=None, hint="Check user and password, or the token.")
        if status in (_ABSENT, _BAD):
            return TargetError(what, retry_s=None, hint=_HINT)
        if _DAMAGED in said:
            return TargetError(what, retry_s=None, hint="The CAR here is damaged: run `hlspub verify` on the root.")
        return TargetError(what, retry_s=asked_s, hint="It is tried again.")


def _document(data: bytes) -> Any:
    """The JSON that it is; None when it is none."""
    try:
        return http.document(data)
    except ValueError:
        return None


def _is_object(answer: object) -> bool:
    return isinstance(answer, dict)
