"""What a proof allows: who lets whom do what with which space until when, and what is missing for a purpose.

Rule: the service decides; this explains beforehand, in sentences for an operator. Each link of the chain is looked at: is it
signed, is it its time, does its audience issue the next one, does it hand on no more than it was given. An issuer that is no
key (did:mailto, did:web) vouches by an attestation that only the service can judge: there the explanation ends, without blame.

Source: github.com/ucan-wg/spec v0.9.1, §§ 2.4, 5 (attenuation, validation).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hlspub.ipld.cid import Cid
from hlspub.ucan.proof import Proof
from hlspub.ucan.token import Capability, Token

ANY_RESOURCE = "ucan:*"  # all that the issuer was given
_KEY_METHOD = "did:key:"
_ATTEST = "ucan/attest"


@dataclass(frozen=True, slots=True)
class Purpose:
    """Who wants to do what: the agent's DID, the space (None: whichever the proof names), the abilities, and when (Unix s)."""

    agent: str
    space: str | None
    abilities: Sequence[str]
    now: float


def allows(given: str, wanted: str) -> bool:
    """Whether the ability `given` covers `wanted`: the same, `*`, or `space/*` and the like."""
    return given in ("*", wanted) or (given.endswith("/*") and wanted.startswith(given[:-1]))


def spaces(proof: Proof) -> tuple[str, ...]:
    """The spaces that a proof names, in its order."""
    found = (one.resource for one in proof.delegation.claims.capabilities if one.resource.startswith(_KEY_METHOD))
    return tuple(dict.fromkeys(found))


def expiry(proof: Proof) -> int | None:
    """When the first of its links ends, Unix seconds; None: never."""
    ends = [one.claims.expires for one in (proof.delegation, *proof.chain().values()) if one.claims.expires is not None]
    return min(ends, default=None)


def told(proof: Proof) -> Iterator[str]:
    """Who lets whom do what until when, from the space's own word down to the agent's proof; a sentence a delegation."""
    token: Token | None = proof.delegation
    links, chain = list[Token](), proof.chain()
    while token is not None and token not in links:
        links.append(token)
        parents = (chain[link] for link in token.claims.proofs if link in chain)
        token = next((one for one in parents if one.claims.audience == links[-1].claims.issuer), None)
    for one in reversed(links):
        claims = one.claims
        resources = dict.fromkeys(given.resource for given in claims.capabilities)
        what = "; ".join(
            f"{', '.join(given.can for given in claims.capabilities if given.resource == resource)} on {resource}"
            for resource in resources
        )
        until = "for good" if claims.expires is None else f"until {day(claims.expires)}"
        yield f"{claims.issuer} lets {claims.audience} {what} {until}"


def problems(proof: Proof, purpose: Purpose) -> Iterator[str]:
    """What keeps the proof from serving its purpose, each in a sentence; none: nothing that can be seen from here."""
    claims = proof.delegation.claims
    if claims.audience != purpose.agent:
        yield f"the proof is for {claims.audience}, and the key is {purpose.agent}: ask for a proof for that DID"
    space = purpose.space or next(iter(spaces(proof)), None)
    if space is None:
        yield 'the proof names no space: set space = "did:key:…"'
        return
    missing = [
        ability for ability in purpose.abilities if not any(_covers(one, ability, space) for one in claims.capabilities)
    ]
    if missing:
        yield f"the proof does not allow {', '.join(missing)} on {space}: ask for a proof with these abilities"
    yield from _links(proof.delegation, proof.chain(), purpose.now)


def _links(token: Token, chain: Mapping[Cid, Token], now: float) -> Iterator[str]:
    claims = token.claims
    yield from _valid(token, now)
    if all(one.resource == claims.issuer for one in claims.capabilities):
        return  # a space's own word needs no proof
    parents = [chain[link] for link in claims.proofs if link in chain]
    for link in claims.proofs:
        if link not in chain:
            yield f"the proof refers to {link}, which is not in it: was it copied whole?"
    if not claims.issuer.startswith(_KEY_METHOD) or any(_attests(one) for one in parents):
        return
    for one in claims.capabilities:
        given = [parent for parent in parents if parent.claims.audience == claims.issuer and _gives(parent, one)]
        if one.resource != claims.issuer and not given:
            yield f"{claims.issuer} hands on {one.can} on {one.resource}, which nobody gave it"
    for parent in parents:
        if parent.cid != token.cid:
            yield from _links(parent, {link: other for link, other in chain.items() if link != parent.cid}, now)


def _valid(token: Token, now: float) -> Iterator[str]:
    claims = token.claims
    what = f"the delegation by {claims.issuer}"
    if claims.expires is not None and claims.expires <= now:
        yield f"{what} has expired on {day(claims.expires)}: ask for a new proof"
    if claims.not_before > now:
        yield f"{what} is not valid before {day(claims.not_before)}: is this machine's clock right?"
    if claims.issuer.startswith(_KEY_METHOD) and not token.verify():
        yield f"{what} has a wrong signature: was the proof copied whole?"


def _covers(given: Capability, ability: str, resource: str) -> bool:
    return given.resource in (resource, ANY_RESOURCE) and allows(given.can, ability)


def _gives(parent: Token, wanted: Capability) -> bool:
    return any(
        (wanted.resource == ANY_RESOURCE or given.resource in (wanted.resource, ANY_RESOURCE))
        and allows(given.can, wanted.can)
        for given in parent.claims.capabilities
    )


def _attests(token: Token) -> bool:
    return any(one.can == _ATTEST for one in token.claims.capabilities)


def day(at: int) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
