"""What is kept of decisions: explained, searched, tried under another policy, and told to places outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from attest.dsse import TrustedKey, TrustedKeys
from kbs.audit import Head
from kbs.audit_proof import Witness
from kbs.checkpoint import Checkpoint, read_checkpoint
from kbs.config import InvalidConfig, read_config
from kbs.places import FolderPlace, Messenger, UrlPlace
from kbs.record_administration import Search
from kbs.refusals import Refusal
from kbs.service import _kept_outside
from kbs.store.rollback import RolledBack, require_heads
from tests.kbs.conftest import PATH, SNP_POLICY, Bench
from tests.kbs.test_release import NEWER_FIRMWARE, refused

MARKS = ("the model key", "kbsadm_")


def test_t_tail_the_trail_is_proved_up_to_the_newest_receipt(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    receipt = Head.parse(guest.http.get(f"/kbs/v0/resource/{PATH}").headers["kbs-receipt"])
    acme.secret("acme", value=b"another")
    proof = acme.administration.record.proof([Witness(receipt, "receipt")])
    assert (proof.faults, proof.proved, proof.rows) == ((), receipt.number, receipt.number + 1)
    acme.sql(f"DELETE FROM audit WHERE number >= {receipt.number}")
    acme.sql(
        f"UPDATE audit_head SET number = {receipt.number - 1}, hash = (SELECT hash FROM audit WHERE number = {receipt.number - 1})"
    )
    assert acme.administration.record.proof(()).faults == (), "the chain alone does not show it"
    assert "it was cut" in acme.administration.record.proof([Witness(receipt, "receipt")]).faults[0]


def test_a_search_finds_rows_by_what_they_speak_of(acme: Bench) -> None:
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    guest = acme.guest()
    guest.boot(PATH)
    acme.clock.pass_seconds(10)
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)

    def events(**wanted: str) -> list[str]:
        rows, more = acme.administration.record.search(Search(**wanted), 0, 100)
        assert more is None
        return [row.content["event"] for row in rows]

    (released,) = acme.rows("released")
    assert events(event="released") == ["released"]
    assert events(path=PATH) == ["secret-put", "released", "release-denied"]
    assert events(session=released["session"]) == ["attested", "released", "release-denied"]
    assert events(owner="other") == ["owner-added", "rule-put", "secret-put"]
    assert "released" in events(owner="acme")
    assert events(policy=released["agreed"][0]["policy"]) == ["rule-put", "rule-put", "released"]
    assert events(since="2040-11-23T12:00:10Z") == ["rule-put", "release-denied"]
    assert "release-denied" not in events(until="2040-11-23T12:00:09Z")
    assert events(text="too old") == ["release-denied"]
    assert events(event="released", owner="other") == []
    first, after = acme.administration.record.search(Search(owner="acme"), 0, 1)
    assert after == first[0].number


def test_why_shows_the_rules_of_a_decision_as_trees(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    denied = acme.rows("release-denied")[-1]
    acme.clock.pass_seconds(3600)
    (decision,) = acme.administration.foresight.why(denied["reason"], None, every=False)
    assert decision["row"] == denied
    (rule,) = decision["rules"]
    assert (rule["owner"], rule["path"]) == ("acme", "acme/*")
    assert "SNP firmware is too old" in rule["text"]
    assert decision["unsaid"] is None
    decisions = acme.administration.foresight.why(denied["session"], PATH, every=True)
    assert [one["row"]["event"] for one in decisions] == ["released", "release-denied"]
    assert decisions[0]["rules"][0]["then"] is False, "the rule was changed since"
    answer = acme.admin("GET", f"why/{denied['reason']}").json()
    assert answer["decisions"][0]["rules"][0]["tree"]["explanation"]["headline"]


def test_why_says_when_nothing_is_kept_any_more(acme: Bench) -> None:
    acme.guest().boot(PATH)
    (released,) = acme.rows("released")
    acme.clock.pass_seconds(8 * 24 * 3600)
    acme.guest().auth()
    decisions = acme.administration.foresight.why(released["session"], None, every=False)
    assert [one["rules"] for one in decisions] == [[], []]
    assert "not kept any more" in decisions[-1]["unsaid"]
    with pytest.raises(Refusal, match="no row has this reason"):
        acme.administration.foresight.why("0" * 16, None, every=False)


def test_a_dry_run_says_what_would_have_come_out_otherwise(acme: Bench) -> None:
    old, new = acme.guest(tcb={"snp": 20}), acme.guest(tcb={"snp": 21})
    old.boot(PATH)
    new.boot(PATH)
    with refused(403, "PolicyDeny"):
        acme.guest(measurement=bytes(48)).boot(PATH)
    dry_run = acme.administration.foresight.dry_run
    assert dry_run("acme", "acme/*", SNP_POLICY, 7).otherwise == ()
    run = dry_run("acme", "acme/*", SNP_POLICY.replace("{snp: 20}", "{snp: 21}"), 7)
    assert (run.decisions, run.unknown, run.more) == (3, 0, False)
    (changed,) = run.otherwise
    assert (changed.was, changed.would, changed.path) == ("released", "denied", PATH)
    assert "20" in (changed.sentence or "")
    assert "21" in (changed.sentence or "")
    looser = SNP_POLICY.replace(SNP_POLICY.split('"')[1], "00" * 48)
    run = dry_run("acme", "acme/*", looser, 7)
    assert sorted((one.was, one.would) for one in run.otherwise) == [
        ("denied", "released"),
        ("released", "denied"),
        ("released", "denied"),
    ]
    assert dry_run("acme", "acme/config/*", SNP_POLICY, 7).decisions == 0
    assert acme.administration.rules("acme")[0].policy == SNP_POLICY, "nothing was put"


def test_a_dry_run_tells_an_owner_nothing_of_machines_that_ask_for_secrets_of_others(acme: Bench) -> None:
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    acme.guest().boot("other/key/a")
    assert acme.administration.foresight.dry_run("acme", "other/*", NEWER_FIRMWARE, 7).decisions == 0
    assert acme.administration.foresight.dry_run("other", "other/*", NEWER_FIRMWARE, 7).decisions == 1


def test_a_dry_run_counts_what_it_can_say_nothing_of(acme: Bench) -> None:
    acme.guest().boot(PATH)
    acme.sql("DELETE FROM kept_sessions")
    run = acme.administration.foresight.dry_run("acme", "acme/*", NEWER_FIRMWARE, 7)
    assert (run.decisions, run.unknown, run.otherwise) == (1, 1, ())
    acme.clock.pass_seconds(8 * 24 * 3600)
    assert acme.administration.foresight.dry_run("acme", "acme/*", NEWER_FIRMWARE, 7).decisions == 0


def test_t_ct_nothing_that_is_kept_in_the_trail_is_a_secret(acme: Bench) -> None:
    acme.guest().boot(PATH)
    text = str(acme.rows()) + str(acme.sql("SELECT * FROM kept_sessions"))
    assert not any(mark in text for mark in MARKS)


# -- places -----------------------------------------------------------------------------------------


def keys_of(bench: Bench) -> TrustedKeys:
    return TrustedKeys([TrustedKey.read("checkpoint", bench.administration.record.checkpoint_key().encode())])


def test_each_place_gets_every_checkpoint_where_rows_were_added(acme: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    messenger = Messenger([("acme", FolderPlace(folder))], acme.administration.record.checkpoint, 3600)
    messenger.bring()
    messenger.bring()
    assert len(list(folder.iterdir())) == 1
    acme.guest().boot(PATH)
    messenger.bring()
    files = sorted(folder.iterdir())
    assert len(files) == 2
    newest = read_checkpoint(files[-1].read_bytes(), keys_of(acme))
    assert newest.head == acme.administration.record.proof(()).head


def test_a_place_that_does_not_take_one_is_tried_again_and_holds_up_nobody(
    acme: Bench, tmp_path: Path
) -> None:
    folder, other = tmp_path / "absent", tmp_path / "there"
    other.mkdir()
    places = [("gone", FolderPlace(folder)), ("there", FolderPlace(other))]
    messenger = Messenger(places, acme.administration.record.checkpoint, 3600)
    messenger.bring()
    assert len(list(other.iterdir())) == 1
    folder.mkdir()
    messenger.bring()
    assert len(list(folder.iterdir())) == 1
    assert len(list(other.iterdir())) == 1


def test_the_last_checkpoint_is_brought_when_the_broker_stops(acme: Bench, tmp_path: Path) -> None:
    messenger = Messenger([("acme", FolderPlace(tmp_path))], acme.administration.record.checkpoint, 3600)
    messenger.start()
    messenger.stop()
    assert [file for file in tmp_path.iterdir() if file.name.endswith(".checkpoint.json")]


def test_two_places_of_one_owner_both_get_it(acme: Bench, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    places = [("acme", FolderPlace(folder)) for folder in folders]
    Messenger(places, acme.administration.record.checkpoint, 3600).bring()
    assert [len(list(folder.iterdir())) for folder in folders] == [1, 1]


class Taking:
    """A place that says when it took one, and holds on until it may return."""

    def __init__(self, *, held: bool = False) -> None:
        self.numbers: list[int] = []
        self.took = threading.Event()
        self.free = threading.Event()
        if not held:
            self.free.set()

    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        self.numbers.append(checkpoint.head.number)
        self.took.set()
        self.free.wait(30)


def test_a_place_that_hangs_holds_up_no_other(acme: Bench) -> None:
    hangs, other = Taking(held=True), Taking()
    places = [("hangs", hangs), ("other", other)]
    messenger = Messenger(places, acme.administration.record.checkpoint, 0.01)
    messenger.start()
    assert hangs.took.wait(30)
    assert other.took.wait(30)
    hangs.free.set()
    messenger.stop()


def test_rows_enough_bring_one_before_the_time(acme: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbs.places._LOOK", 0.01)
    place = Taking()
    messenger = Messenger([("acme", place)], acme.administration.record.checkpoint, 3600, rows=5)
    messenger.start()
    assert not place.took.wait(0.05), "three rows are too few"
    for number in range(2):
        acme.secret("acme", value=str(number).encode())
    assert place.took.wait(30)
    messenger.stop()
    assert place.numbers[0] == 5


def test_t_tail_another_row_of_the_same_number_writes_over_no_checkpoint(acme: Bench, tmp_path: Path) -> None:
    """Both are signed by the broker, and together they show that it said two things."""
    folder = FolderPlace(tmp_path)
    messenger = Messenger([("acme", folder)], acme.administration.record.checkpoint, 3600)
    messenger.bring()
    ((digest,),) = acme.sql("SELECT hash FROM audit_head")
    acme.sql("UPDATE audit_head SET hash = :other", other=digest[::-1])
    messenger.bring()
    name = acme.store.read(lambda tx: tx.broker.state().name)
    heads = {read_checkpoint(one, keys_of(acme)).head for one in folder.documents(name)}
    assert heads == {Head(3, digest), Head(3, digest[::-1])}


@contextmanager
def listening(status: int, taken: list[bytes], asked: list[str]) -> Iterator[str]:
    """A place that answers `status`, and 200 at any other path. asked: method and path of all that came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers.get("content-length", "0"))))
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(status if self.path == "/checkpoints" else 200)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/checkpoints"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "tries"), [(200, 1), (204, 1), (302, 2), (307, 2), (500, 2)])
def test_t_ssrf_an_address_takes_one_by_2xx_and_no_redirect_is_followed(
    acme: Bench, status: int, tries: int
) -> None:
    taken: list[bytes] = []
    asked: list[str] = []
    with listening(status, taken, asked) as url:
        messenger = Messenger([("acme", UrlPlace(url))], acme.administration.record.checkpoint, 3600)
        messenger.bring()
        messenger.bring()
    assert asked == ["POST /checkpoints"] * tries
    assert isinstance(read_checkpoint(taken[0], keys_of(acme)), Checkpoint)


def test_no_more_of_an_answer_is_read_than_its_head(acme: Bench) -> None:
    """A place that answers without end would hold up its owner's next checkpoints."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(1 << 40))
            self.end_headers()
            ended.wait(30)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    made = acme.administration.record.checkpoint()
    assert made is not None
    try:
        UrlPlace(f"http://127.0.0.1:{server.server_port}/").take(*made)
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def test_t_restore_a_database_older_than_the_newest_checkpoint_outside_is_not_served(
    acme: Bench, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    acme.guest().boot(PATH)
    Messenger([("acme", FolderPlace(outside))], acme.administration.record.checkpoint, 3600).bring()
    file = acme.configuration()
    text = file.read_text() + "record: {checkpoints: [{folder: outside}]}\n"
    config = read_config(text.encode(), tmp_path / "kbs.yaml")
    heads = list(_kept_outside(config, acme.store, acme.keys))
    acme.store.read(lambda tx: require_heads(tx, heads))
    acme.sql(f"DELETE FROM audit WHERE number = {heads[0].number}")
    with pytest.raises(RolledBack):
        acme.store.read(lambda tx: require_heads(tx, heads))
    (newest,) = outside.iterdir()
    newest.write_bytes(b"{}")
    with pytest.raises(InvalidConfig, match="none of this broker"):
        list(_kept_outside(config, acme.store, acme.keys))


@pytest.mark.parametrize(
    "place", ["{}", "{folder: x, url: 'https://a'}", "{url: 'http://a'}", "{folder: absent}"]
)
def test_a_place_is_a_folder_or_an_https_address(place: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig):
        read_config(f"state: .\nrecord: {{checkpoints: [{place}]}}\n".encode(), tmp_path / "kbs.yaml")
