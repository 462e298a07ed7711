"""The configuration file: strict, with the line of every fault, and the same as the options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kbs.config import Config, InvalidConfig, read_config
from kbs.config.section import Above, sections_of
from kbs.protocol import Served
from kbs.service import issuers
from tests.kbs.test_cli import kbs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "endorsements").mkdir()
    (tmp_path / "root.pem").write_text("")
    return tmp_path


def read(folder: Path, text: str, *above: Above) -> Config:
    return read_config(text.encode(), folder / "kbs.yaml", above)


def test_paths_count_from_the_folder_of_the_file(folder: Path) -> None:
    config = read(folder, "state: state\nendorsements: endorsements\n")
    assert (config.state, config.endorsements) == (folder / "state", folder / "endorsements")
    assert read(folder, f"state: {folder}/state\n").state == folder / "state"


def test_what_is_not_said_has_its_default(folder: Path) -> None:
    config = read(folder, "state: state\n")
    assert (config.listen.host, config.listen.port, config.listen.tls) == ("127.0.0.1", 8080, None)
    assert config.simulator_root is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("listen: {port: 8080}\n", "kbs.yaml:1:1: state: is missing"),
        ("state: absent\n", "kbs.yaml:1:1: state: {folder}/absent is no folder"),
        (
            "state: state\nsimulator-root: absent\n",
            "kbs.yaml:2:1: simulator-root: {folder}/absent is no file",
        ),
        ("state: state\nlisten:\n  port: 65536\n", "kbs.yaml:3:3: listen.port: Input should be less"),
        ("state: state\nlisten:\n  hots: a\n", "kbs.yaml:3:3: listen.hots: is no key that is known here"),
        ("state: state\nguests: {session-seconds: 301}\n", "kbs.yaml:2:10: guests.session-seconds: "),
        ("state: state\nguests: [a]\n", "kbs.yaml:2:1: guests: is a map of keys"),
        ("state: state\nlisten: {tls: {key: root.pem}}\n", "listen.tls.certificate: is missing"),
        ("state: state\nstate: state\n", "kbs.yaml:2:1: "),
        ("state: state\nguests: {session_seconds: 3}\n", "is no key that is known here"),
        (
            "state: state\nguests: {protocols: [0.5.0]}\n",
            "kbs.yaml:2:22: guests.protocols.1: Input should be",
        ),
        ("state: state\nguests: {protocols: [0.4.0, 0.1.0]}\n", "guests: protocol 0.1.0 needs RSA1_5"),
        ("- a\n", "a configuration is a map of keys"),
        ("state: &a state\n", "anchors are not allowed"),
    ],
)
def test_each_fault_names_its_line(folder: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(folder, text)
    assert any(fault.format(folder=folder) in one for one in raised.value.faults), raised.value.faults


def test_old_guests_are_served_where_the_file_says_so(folder: Path) -> None:
    assert read(folder, "state: state\n").guests.served == Served()
    text = "state: state\nguests: {protocols: [0.4.0, 0.1.1], rsa1-5: true, azure-evidence: 0}\n"
    assert read(folder, text).guests.served == Served(frozenset({"0.4.0", "0.1.1"}), True, 0)


def test_what_tokens_say_comes_from_the_file(folder: Path) -> None:
    from kbs.service import _token_terms
    from kbs.token import TokenTerms

    assert _token_terms(read(folder, "state: state\n").tokens) == TokenTerms()
    (folder / "p.yaml").write_text("policy: 1\nname: p\nplatforms: [snp]\nrequire: {snp: {vmpl: 0}}\n")
    said = _token_terms(
        read(
            folder, "state: state\ntokens: {issuer: https://a.example, audience: none, policy: p.yaml}\n"
        ).tokens
    )
    assert (said.issuer, said.audience) == ("https://a.example", None)
    assert said.policy is not None
    assert said.policy.name == "p"
    with pytest.raises(InvalidConfig, match=r"tokens\.policy: .* is no file"):
        read(folder, "state: state\ntokens: {policy: absent.yaml}\n")


ISSUER = "issuers:\n  - {name: a, iss: i, adapter: trustee, keys: root.pem}\n"


def test_issuers_come_from_the_file(folder: Path) -> None:
    assert read(folder, "state: state\n").issuers == ()
    (one,) = read(folder, f"state: state\n{ISSUER}").issuers
    assert (one.issuer.name, one.issuer.audience, one.keys) == ("a", None, folder / "root.pem")
    with pytest.raises(InvalidConfig, match=r"issuers: a: .*root\.pem: issuer\.keys"):  # the file is empty
        issuers(read(folder, f"state: state\n{ISSUER}"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("name: a", "name: self"), "issuers.1: an issuer's name is"),
        (("adapter: trustee", "adapter: nras"), "issuers.1.adapter: Input should be"),
        ((", keys: root.pem", ""), "issuers.1: give either keys"),
        (("keys: root.pem", "keys: root.pem, keys-url: https://a"), "issuers.1: give either keys"),
    ],
)
def test_an_issuer_that_cannot_be_read_names_its_line(
    folder: Path, change: tuple[str, str], fault: str
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(folder, f"state: state\n{ISSUER.replace(*change)}")
    assert "kbs.yaml:3:" in raised.value.faults[0]
    assert fault in raised.value.faults[0]


def test_an_address_of_keys_that_is_not_https_is_refused(folder: Path) -> None:
    config = read(folder, f"state: state\n{ISSUER.replace('keys: root.pem', 'keys-url: http://a/keys')}")
    with pytest.raises(InvalidConfig, match="over https"):
        issuers(config)


def test_all_faults_are_told_at_once(folder: Path) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(folder, "listen: {port: a}\nguests: {deny-status: 500}\nmore: 1\n")
    assert len(raised.value.faults) == 4


def test_an_option_stands_above_the_file(folder: Path) -> None:
    config = read(folder, "state: state\nlisten: {port: 1}\n", Above(("listen", "port"), "--port", "2"))
    assert config.listen.port == 2
    with pytest.raises(InvalidConfig, match=r"^--port: Input should be less"):
        read(folder, "state: state\n", Above(("listen", "port"), "--port", "70000"))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_a_typed_error(text: bytes) -> None:
    with pytest.raises(InvalidConfig):
        read_config(text, Path("absent/kbs.yaml"))


def _fields(model: type) -> list[tuple[str, str | None]]:
    found = []
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        found.append((field.alias or name, field.description))
        for section in sections_of(field.annotation):
            found += _fields(section)
    return found


def test_show_explains_every_key() -> None:
    shown = kbs("config", "show").stdout
    fields = _fields(Config)
    assert len(fields) > 8
    for key, description in fields:
        assert description, key
        assert f"{key}:" in shown
        assert description in shown


def test_the_schema_accepts_what_the_reader_does(folder: Path) -> None:
    schema = json.loads(kbs("config", "show", "--schema").stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"state": "state", "listen": {"port": 8080}})
    assert not validator.is_valid({"state": "state", "listen": {"hots": "a"}})
    assert not validator.is_valid({})


def test_check_prints_what_holds(folder: Path) -> None:
    file = folder / "kbs.yaml"
    file.write_text("state: state\nguests: {session-seconds: 60}\n")
    done = kbs("config", "check", str(file), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["guests"]["session-seconds"] == 60
    file.write_text("state: absent\nlisten: {port: a}\n")
    done = kbs("config", "check", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2
    assert kbs("config", "check", str(folder / "absent")).returncode == 2


def test_serve_reads_the_file(folder: Path) -> None:
    file = folder / "kbs.yaml"
    file.write_text("state: state\nlisten: {host: broker.invalid}\n")
    done = kbs("serve", "--config", str(file))
    assert done.returncode == 2
    assert "there is no broker in" in done.stderr
    assert kbs("init", "--state", str(folder / "state")).returncode == 0
    done = kbs("serve", "--config", str(file))
    assert "cannot listen on broker.invalid" in done.stderr
    assert "--state DIR" in kbs("serve").stderr


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tokens: {policy: root.pem}", "root.pem:1:1"),
        (
            "issuers: [{name: a, iss: i, adapter: trustee, keys: root.pem}]",
            "a: {folder}/root.pem: issuer.keys",
        ),
        ("listen: {tls: {certificate: root.pem, key: root.pem}}", "no certificate chain and its key"),
        ("simulator-root: root.pem", "not certificates in PEM"),
        ("endorsements: .", "evidence.unrecognised"),
    ],
)
def test_check_reads_what_the_file_names_and_quotes_none_of_it(folder: Path, text: str, fault: str) -> None:
    """T-CT: what is named by mistake may be a secret."""
    (folder / "root.pem").write_text("kbsadm_not-for-logs\n")
    file = folder / "kbs.yaml"
    file.write_text(f"state: state\n{text}\n")
    done = kbs("config", "check", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert fault.format(folder=folder) in done.stderr
    assert "not-for-logs" not in done.stderr


def test_no_issuer_says_that_it_is_this_broker(folder: Path) -> None:
    text = "state: state\nissuers: [{name: a, iss: kbs, adapter: kbs, keys: root.pem}]\n"
    with pytest.raises(InvalidConfig, match=r"issuer a says iss kbs.*tokens\.issuer"):
        read(folder, text)
    assert read(folder, text + "tokens: {issuer: kbs-one}\n").issuers
