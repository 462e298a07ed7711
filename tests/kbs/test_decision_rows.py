"""What a decision's row says: who, by which rules, why not; bounded, and without what guests must not learn."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from attest.errors import Problem
from kbs.audit import LONGEST, MOST, noted_problems
from kbs.cli.main import main
from kbs.network import network_class
from kbs.record_administration import Search
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.test_release import NEWER_FIRMWARE, refused
from tests.kbs.twin import TwinGuest


def test_a_denials_row_says_who_asked_and_which_rules_agreed_and_refused(acme: Bench) -> None:
    acme.owner("strict", NEWER_FIRMWARE)
    acme.secret("acme", "strict", path="acme/key/shared")
    with refused(403, "PolicyDeny"):
        acme.guest().boot("acme/key/shared")
    (attested,), (row,) = acme.rows("attested"), acme.rows("release-denied")
    rules = {rule.owner: rule for rule in acme.administration.rules(None)}
    for member, name in (("agreed", "acme"), ("refusing", "strict")):
        rule = rules[name]
        said = {"owner": name, "rule": str(rule.id), "path": "acme/*", "policy": rule.digest}
        assert row[member] == [said]
    assert (row["session"], row["key"], row["claims"]) == tuple(
        attested[one] for one in ("session", "key", "claims")
    )
    (problem,) = row["problems"]
    assert problem["where"].startswith("strict:acme/*: snp.tcb")
    assert problem["expected"]
    assert problem["found"]


def test_rows_say_from_which_kind_of_network_was_asked(acme: Bench) -> None:
    """Attested from one, asked from another: a session that somebody took along shows."""
    guest = acme.guest(http=TestClient(acme.app, client=("10.0.0.7", 4711)))
    guest.boot(PATH)
    assert acme.rows("attested")[-1]["network"] == acme.rows("released")[-1]["network"] == "private"
    elsewhere = TestClient(acme.app, client=("8.8.8.8", 4711), cookies=guest.http.cookies)
    assert elsewhere.get(f"/kbs/v0/resource/{PATH}").status_code == 200
    assert acme.rows("repeat")[-1]["network"] == "public"
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    assert elsewhere.get(f"/kbs/v0/resource/{PATH}").status_code == 403
    assert acme.rows("release-denied")[-1]["network"] == "public"
    other = acme.guest(fault="snp-leaf-expired", http=TestClient(acme.app, client=("127.0.0.1", 4711)))
    with refused(401, "AttestationError"):
        other.boot(PATH)
    assert acme.rows("attest-refused")[-1]["network"] == "loopback"


def test_t_audit_a_search_by_owner_finds_the_denials_of_his_rules(acme: Bench) -> None:
    with refused(403, "PolicyDeny"):
        acme.guest(tcb={"snp": 19}).boot(PATH)
    (denied,) = acme.rows("release-denied")
    for wanted in (
        Search(owner="acme", event="release-denied"),
        Search(policy=denied["refusing"][0]["policy"]),
    ):
        rows, _ = acme.administration.record.search(wanted, 0, 100)
        assert denied["number"] in [row.number for row in rows]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.0.0.9", "private"),
        ("fe80::1%eth0", "private"),
        ("169.254.1.1", "private"),
        ("::ffff:10.0.0.9", "private"),
        ("8.8.8.8", "public"),
        ("2001:4860:4860::8888", "public"),
        ("", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_networks_are_of_three_kinds(address: str, said: str) -> None:
    assert network_class(address) == said


def test_what_a_row_holds_of_problems_is_bounded() -> None:
    one = Problem("a.b", "x" * (LONGEST + 1), found="y" * LONGEST)
    noted = noted_problems("problems", [one] * (MOST + 7))
    assert len(noted["problems"]) == MOST
    assert noted["omitted"] == 7
    assert len(noted["problems"][0]["message"]) == LONGEST + 1
    assert noted["problems"][0]["message"].endswith("…")
    assert noted["problems"][0]["found"] == "y" * LONGEST
    assert noted_problems("warnings", [one]) == {"warnings": noted["problems"][:1]}


def test_rows_of_refusals_and_of_attestations_are_bounded(
    acme: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbs.audit.MOST", 0)
    with refused(403, "PolicyDeny"):
        acme.guest(tcb={"snp": 19}, measurement=bytes(48)).boot(PATH)
    (attested,), (denied,) = acme.rows("attested"), acme.rows("release-denied")
    assert len(denied["problems"]) == len(attested["warnings"]) == 0
    assert denied["omitted"] >= 1
    assert attested["omitted"] >= 1


# -- what guests and readers see ----------------------------------------------------------------------


def test_t_confused_denials_differ_for_guests_by_their_reason_alone(acme: Bench) -> None:
    """Wrong software, old firmware, revoked, stopped, no such secret: one answer; the owner reads which."""
    answers: list[str] = []

    def ask(guest: TwinGuest, path: str = PATH) -> None:
        guest.auth()
        guest.attest()
        answer = guest.http.get(f"/kbs/v0/resource/{path}")
        reason = acme.rows("release-denied")[-1]["reason"]
        assert answer.status_code == 403
        assert reason in answer.text
        assert "kbs-receipt" not in answer.headers
        answers.append(answer.text.replace(reason, "REASON"))

    ask(acme.guest(measurement=bytes(48)))
    ask(acme.guest(tcb={"snp": 19}))
    ask(acme.guest(measurement=bytes(48)), "acme/key/absent")
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    ask(acme.guest())
    assert len(set(answers)) == 1, answers
    why = acme.administration.foresight.why
    codes = [
        [problem["code"] for problem in why(row["reason"], None, every=False)[0]["row"]["problems"]]
        for row in acme.rows("release-denied")
    ]
    assert len({tuple(one) for one in codes}) >= 2, "its owner reads what it was"


HOSTILE = r"570\x1b[31m\u202e.1"
"""As YAML writes it. One owner's words are read by the others, and text of evidence takes the same way."""


def test_t_render_text_of_others_is_escaped_in_rows_and_explanations(
    acme: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = NEWER_FIRMWARE.replace("{snp: 200}}", f'{{snp: 200}}}}, why: "{HOSTILE}", fix: "{HOSTILE}"')
    acme.administration.put_rule("test", "acme", "acme/*", policy)
    with refused(403, "PolicyDeny"):
        acme.guest().boot(PATH)
    row = acme.rows("release-denied")[-1]
    answer = acme.admin("GET", f"why/{row['reason']}").json()
    trial = {"owner": "acme", "path": "acme/*", "policy": policy, "days": 1}
    acme.administration.put_rule("test", "acme", "acme/*", SNP_POLICY)
    acme.guest().boot(PATH)
    tried = acme.admin("POST", "rules/dry-run", json=trial).json()
    assert len(tried["otherwise"]) == 1
    listed = acme.admin("GET", "audit").json()
    for name, told in (("why", answer), ("audit", listed), ("policy", tried)):
        monkeypatch.setattr(f"kbs.cli.{name}.ask", lambda *_, told=told, **__: told)
    (acme.folder / "policy.yaml").write_text(policy)
    dry_run = ["policy", "dry-run", str(acme.folder / "policy.yaml"), "--owner", "acme", "--path", "acme/*"]
    for command in (["why", row["reason"]], ["audit", "list"], dry_run):
        assert main(command) == 0
        shown = capsys.readouterr().out
        assert "\\x1b[31m" in shown, command
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_t_ct_no_row_and_nothing_kept_holds_a_secret_or_a_credential(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    with refused(403, "PolicyDeny"):
        acme.guest(measurement=bytes(48)).boot(PATH)
    kept = acme.sql("SELECT * FROM kept_sessions") + acme.sql("SELECT body FROM audit")
    text = repr(kept)
    cookie = guest.http.cookies.get("kbs-session-id")
    assert cookie
    for secret in (SECRET[:14].decode(), cookie, acme.admin_key, "kbsadm_"):
        assert secret not in text
