"""The guest at boot against the real broker, and against brokers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kbs.audit import Head
from kbs.domain import ResourcePath
from kbs.guest.attester import Composite, SimulatedAttester
from kbs.guest.client import BadAnswer, KbsClient, NotFound, Refused, Unreachable
from kbs.guest.opening import CannotOpen, GuestKey
from kbs.protocol import jwe
from kbs.protocol.tee_key import TeeKey
from kbs.terms import Terms
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.test_release import NEWER_FIRMWARE

MODEL = ResourcePath.parse(PATH)


def client(bench: Bench, **keywords: Any) -> KbsClient:
    attester = SimulatedAttester(bench.simulator, at=bench.clock.now, **keywords)
    return KbsClient("http://testserver", attester, transport=bench.http()._transport, pause=lambda _: None)


def test_guest_receives_the_secret(acme: Bench) -> None:
    received = client(acme).get(MODEL)
    assert (received.secret, received.lease) == (SECRET, None)
    row = acme.administration.record.rows(0, 100)[-1]
    assert received.receipt == Head(row.number, row.hash)
    acme.administration.put_secret("test", PATH, ["acme"], SECRET, Terms(lease_seconds=60))
    assert client(acme).get(MODEL).lease == acme.clock.now + timedelta(seconds=60)


def test_refusal_is_one_escaped_sentence_with_its_reason(acme: Bench) -> None:
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with pytest.raises(Refused) as refusal:
        client(acme).get(MODEL)
    assert refusal.value.kind == "PolicyDeny"
    assert "\n" not in str(refusal.value)
    assert len(acme.rows("attested")) == 1, "a 403 is final"


def test_missing_resource_is_its_own_error(acme: Bench) -> None:
    with pytest.raises(NotFound):
        client(acme).get(ResourcePath.parse("acme/key/absent"))


def test_one_changed_field_of_the_machine_is_refused(acme: Bench) -> None:
    with pytest.raises(Refused):
        client(acme, settings={"measurement": bytes(48)}).get(MODEL)
    with pytest.raises(Refused):
        client(acme, gpus=0).get(MODEL)


class Script:
    """A broker that answers from a list: (status, body) or an exception."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path.removeprefix("/kbs/v0/"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body))


class Nothing:
    tee = "snp"

    def evidence(self, nonce: str, key: Any) -> Composite:
        return Composite({})


CHALLENGE = (200, {"nonce": "n" * 44, "extra-params": ""})
TOKEN = (200, {"token": "a.b.c"})
NO = {"type": "https://x/errors/TokenNotFound", "detail": "no"}


def scripted(script: Script, pause: Callable[[float], None] = lambda _: None) -> KbsClient:
    return KbsClient("http://x", Nothing(), transport=httpx.MockTransport(script), pause=pause)


def test_401_on_the_resource_attests_again_three_times_in_all() -> None:
    script = Script(*[CHALLENGE, TOKEN, (401, NO)] * 3)
    with pytest.raises(Refused):
        scripted(script).get(MODEL)
    assert script.paths == ["auth", "attest", f"resource/{PATH}"] * 3


def test_busy_or_absent_broker_is_tried_five_times_with_growing_pauses() -> None:
    pauses: list[float] = []
    script = Script(httpx.ConnectError("x"))
    with pytest.raises(Unreachable):
        scripted(script, pauses.append).get(MODEL)
    assert len(script.paths) == 5
    assert pauses == sorted(pauses)
    busy = Script((429, NO))
    with pytest.raises(Refused):
        scripted(busy).get(MODEL)
    assert len(busy.paths) == 5


@pytest.mark.parametrize(
    "answers",
    [
        [(200, b"not json")],
        [(200, [])],
        [(200, {"nonce": "x"})],
        [(200, {"nonce": 5, "extra-params": ""})],
        [(200, {"nonce": "\n", "extra-params": ""})],
        [CHALLENGE, (200, {"token": "a.b"})],
        [CHALLENGE, (200, {"token": 1})],
        [(500, b"oops")],
        [(302, b"")],
        [(200, b" " * (5 << 20))],
    ],
)
def test_what_does_not_speak_the_protocol_is_refused(answers: list[Any]) -> None:
    with pytest.raises(BadAnswer):
        scripted(Script(*answers)).get(MODEL)


def test_brokers_text_is_escaped() -> None:
    hostile = {"type": "https://x/errors/\x1b[2J", "detail": "a\x1b[31m\nb\u202e"}
    with pytest.raises(Refused) as refusal:
        scripted(Script((403, hostile))).get(MODEL)
    assert all(text not in str(refusal.value) for text in ("\x1b", "\n", "\u202e"))


def changed(**members: Any) -> bytes:
    message = json.loads(jwe.encrypt(SECRET, TeeKey.from_jwk(KEY.jwk)))
    for name, change in members.items():
        message[name] = change(message[name])
    return json.dumps(message).encode()


KEY = GuestKey()


def flip(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


def test_answer_opens_and_every_changed_member_does_not() -> None:
    assert KEY.open(changed()) == SECRET
    for name in ("protected", "encrypted_key", "iv", "ciphertext", "tag"):
        with pytest.raises(CannotOpen):
            KEY.open(changed(**{name: flip}))


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"null", b"[]", b"\xff", b'{"protected":1}'],
)
def test_other_answers_do_not_open(answer: bytes) -> None:
    with pytest.raises(CannotOpen):
        KEY.open(answer)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"ECDH-ES+A256KW", b"ECDH-ES+A128KW"),
        (b"A256GCM", b"A128GCM"),
        (b'"epk"', b'"apu":"QQ","epk"'),
    ],
)
def test_well_sealed_answer_with_another_header_does_not_open(right: bytes, wrong: bytes) -> None:
    public = TeeKey.from_jwk(KEY.jwk).public
    assert isinstance(public, ec.EllipticCurvePublicKey)
    header, wrapped = jwe.wrap_ec(bytes(32), public, ec.generate_private_key(ec.SECP256R1()))
    assert KEY.open(jwe.seal(b"x", bytes(32), bytes(12), header, wrapped)) == b"x"
    with pytest.raises(CannotOpen):
        KEY.open(jwe.seal(b"x", bytes(32), bytes(12), header.replace(right, wrong), wrapped))


def test_answer_for_another_key_does_not_open() -> None:
    with pytest.raises(CannotOpen):
        GuestKey().open(changed())
