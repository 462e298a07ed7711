"""Documents on their way between people: read and signed without a broker, whoever wrote them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest.dsse import media_type, seal_envelope
from kbs.cli.main import main
from kbs.consent import payload_of
from tests.kbs.test_cli import Served, served, stocked  # noqa: F401  # fixtures
from tests.kbs.test_consent import ANN, SAID


def unsigned(file: Path, payload: bytes, signatures: object = ()) -> Path:
    document = {
        "payloadType": media_type("consent"),
        "payload": base64.b64encode(payload).decode(),
        "signatures": signatures,
    }
    file.write_text(json.dumps(document))
    return file


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("document", SAID)
def test_what_is_shown_and_signed_is_the_document(
    document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key = unsigned(tmp_path / "consent.json", payload_of(document), []), tmp_path / "ann.key"
    key.write_bytes(ANN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert main(["consent", "show", str(file), "--json"]) == 0
    assert said(capsys) == {"signed": json.loads(payload_of(document)), "keys": []}
    assert main(["consent", "sign", str(file), "--key", str(key)]) == 0
    capsys.readouterr()
    expected = json.loads(seal_envelope("consent", payload_of(document), ANN))
    assert json.loads(file.read_text()) == expected
    assert main(["consent", "show", str(file), "--json"]) == 0
    assert said(capsys)["keys"] == [expected["signatures"][0]["keyid"]]
    assert main(["consent", "show", str(file)]) == 0
    shown = capsys.readouterr().out
    for value in _texts(json.loads(payload_of(document))):
        assert value.startswith("-----BEGIN") or value in shown


def _texts(value: object) -> list[str]:
    """Each value that is signed, but the act, which is said in words."""
    if isinstance(value, dict):
        return [text for name, one in value.items() if name != "act" for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "signatures",
    [[1], [{"keyid": 5, "sig": ""}], [{"keyid": "x"}], [{"keyid": "x", "sig": "no base64"}], {}, "x", [[]]],
)
def test_signatures_that_are_none_are_said_in_a_line(
    signatures: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = unsigned(tmp_path / "consent.json", payload_of(SAID[0]), signatures)
    for command in (["show"], ["sign", "--key", "none.key"]):
        assert main(["consent", command[0], str(file), *command[1:]]) == 2
        assert str(file) in capsys.readouterr().err


def test_t_render_the_name_of_a_key_writes_nothing_else_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signatures = [{"keyid": "\x1b[2J\u202e", "sig": base64.b64encode(bytes(64)).decode()}]
    file = unsigned(tmp_path / "consent.json", payload_of(SAID[0]), signatures)
    assert main(["consent", "show", str(file)]) == 2
    shown = "".join(capsys.readouterr())
    assert not set("\x1b\u202e") & set(shown)


def test_what_is_prepared_is_printed_as_json(stocked: Served, tmp_path: Path) -> None:  # noqa: F811
    given = ["--expires", "2099-01-31T00:00:00Z", "--json", "-o", "consent.json"]
    done = stocked.run("consent", "prepare", "acme/key/model", "--owner", "acme", *given, within=tmp_path)
    assert done.returncode == 0, done.stderr
    envelope = json.loads((tmp_path / "consent.json").read_text())
    assert json.loads(done.stdout) == json.loads(base64.b64decode(envelope["payload"]))
