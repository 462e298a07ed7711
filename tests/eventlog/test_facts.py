"""Facts of the boot: only where a log that replays leaves no other reading (T-EVENTLOG).

The attacker here holds the log, so he labels entries as he likes, and runs software in the guest, so he extends
registers after the boot; what was measured before that, and in which order, he cannot change.
"""

from __future__ import annotations

import hashlib

import pytest

from attest.eventlog import facts
from attest.eventlog.facts import BootFacts, dstack_identities
from attest.eventlog.log import EventLog
from attest.eventlog.replay import replay_pcrs, replay_rtmrs
from attest.eventlog.tie import Variable, load_options, runtime_digest, tagged, tie
from attest.eventlog.verify import Replay, compare_pcrs, compare_rtmrs
from attest.simulator import eventlog
from attest.simulator.eventlog import EventLogPlan, Logged
from tests.conftest import Vectors
from tests.eventlog.conftest import read

KERNEL, CMDLINE, INITRD = b"MZ simulated kernel", "root=/dev/vda1 ro", b"simulated initrd"
DIRECT = BootFacts(
    kernel=hashlib.sha384(KERNEL).digest(),
    initrd=hashlib.sha384(INITRD).digest(),
    cmdline=hashlib.sha384(CMDLINE.encode("utf-16-le") + b"\0\0").digest(),
    secure_boot=True,
)


def of(plan: EventLogPlan) -> BootFacts:
    """The facts, the registers being those of this very log."""
    log = read(plan)
    if log.form == "tpm":
        return compare_pcrs(log, replay_pcrs(log)).facts()
    return compare_rtmrs(log, replay_rtmrs(log)).facts()


def secure_boot_of(plan: EventLogPlan) -> bool | None:
    return of(plan).secure_boot


def relabelled(event: Logged, kind: int = 0xD, data: bytes = b"/boot/grub/grub.cfg\0") -> Logged:
    """The same digest under another type and other data."""
    return Logged(event.index, kind, data, event.measured)


# -- the honest boots -------------------------------------------------------------------------------


def test_a_kernel_started_directly_has_all_facts(boot: EventLogPlan) -> None:
    assert of(boot) == DIRECT
    assert of(boot).claims() == {
        "kernel": hashlib.sha384(KERNEL).hexdigest(),
        "initrd": hashlib.sha384(INITRD).hexdigest(),
        "cmdline": hashlib.sha384(load_options(CMDLINE)).hexdigest(),
        "secure-boot": "true",
    }


def test_a_tpms_log_gives_the_same_facts_in_its_own_bank(tpm: EventLogPlan) -> None:
    found = of(tpm)
    assert (found.kernel, found.initrd) == (hashlib.sha256(KERNEL).digest(), hashlib.sha256(INITRD).digest())
    assert found.cmdline == hashlib.sha256(load_options(CMDLINE)).digest()
    assert found.secure_boot is True


@pytest.mark.parametrize(
    ("name", "secure_boot", "kernel", "cmdline"),
    [
        ("ccel-parse-ovmf-trustee", False, "a2ccae1e7d6c668c", "4230f84885a6f3f3"),
        ("ccel-dstack-rtmr0-only", False, "a0832ba01668bfd1", None),
        ("ccel-parse-grub-trustee", True, None, None),
        ("ccel-gce-cos113-match", False, None, None),
        ("tcg-log-ubuntu2404-snp-gce", False, None, None),
    ],
)
def test_real_logs(
    vectors: Vectors, name: str, secure_boot: bool, kernel: str | None, cmdline: str | None
) -> None:
    log = EventLog.parse(vectors.read(name, "event_log"))
    found = (
        compare_pcrs(log, replay_pcrs(log)) if log.form == "tpm" else compare_rtmrs(log, replay_rtmrs(log))
    ).facts()
    claims = found.claims()
    assert found.secure_boot is secure_boot
    assert claims.get("kernel", "")[:16] == (kernel or "")
    assert claims.get("cmdline", "")[:16] == (cmdline or "")
    assert set(found.unknown) | set(claims) == {"kernel", "initrd", "cmdline", "secure-boot"}


def test_without_stub_entries_kernel_is_known_and_the_rest_is_not_measured(boot: EventLogPlan) -> None:
    boot.events = [event for event in boot.events if event.index != 3]
    found = of(boot)
    assert found.kernel == DIRECT.kernel
    assert (found.cmdline, found.initrd) == (None, None)
    assert set(found.unknown) == {"cmdline", "initrd"}


def test_an_initrd_without_load_options_is_known(boot: EventLogPlan) -> None:
    boot.events = [event for event in boot.events if b"LoadOptions" not in event.data]
    found = of(boot)
    assert (found.initrd, found.cmdline) == (DIRECT.initrd, None)


# -- a log that does not replay says nothing --------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_one_other_register_and_every_fact_is_unknown(boot: EventLogPlan, number: int) -> None:
    log = read(boot)
    signed = list(replay_rtmrs(log))
    signed[number] = bytes([signed[number][0] ^ 1]) + signed[number][1:]
    found = compare_rtmrs(log, signed)
    assert found.state == "mismatch"
    assert list(found.named_differences()) == [f"rtmr{number}"]
    assert found.facts().claims() == {}


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5, 7, 9, 17])
def test_one_other_pcr_and_every_fact_is_unknown(tpm: EventLogPlan, index: int) -> None:
    log = read(tpm)
    found = compare_pcrs(log, {**replay_pcrs(log), index: b"\x5a" * 32})
    assert found.state == "mismatch"
    assert found.facts().claims() == {}


@pytest.mark.parametrize("index", [8, 10, 11, 14, 15, 16, 23])
def test_pcrs_extended_after_boot_are_not_the_logs_to_give(tpm: EventLogPlan, index: int) -> None:
    log = read(tpm)
    found = compare_pcrs(log, {**replay_pcrs(log), index: b"\x5a" * 32})
    assert found.state == "replayed"
    assert index not in found.matching


@pytest.mark.parametrize(
    ("quoted", "known"),
    [
        ({0, 4, 9}, {"kernel", "cmdline", "initrd"}),
        ({0, 4, 7}, {"secure-boot"}),
        ({4, 9}, {"kernel", "cmdline", "initrd"}),
        ({7, 9}, {"secure-boot"}),
        ({0, 1}, set()),
    ],
)
def test_a_fact_needs_its_register_among_the_quoted(
    tpm: EventLogPlan, quoted: set[int], known: set[str]
) -> None:
    log = read(tpm)
    signed = {index: value for index, value in replay_pcrs(log).items() if index in quoted}
    assert set(compare_pcrs(log, signed).facts().claims()) == known


@pytest.mark.parametrize(("quoted", "many"), [({4, 7}, 1), ({7, 9}, 0)])
def test_images_of_an_unquoted_register_are_not_shown(tpm: EventLogPlan, quoted: set[int], many: int) -> None:
    """What nothing signed must not stand in the tree of a verified machine, under whatever name."""
    log = read(tpm)
    signed = {index: value for index, value in replay_pcrs(log).items() if index in quoted}
    found = compare_pcrs(log, signed)
    assert found.state == "replayed"
    assert len(found.raw()["images"]) == many


@pytest.mark.parametrize("quoted", [set(), {8, 10, 16}])
def test_no_register_of_the_boot_quoted_is_no_replay(tpm: EventLogPlan, quoted: set[int]) -> None:
    log = read(tpm)
    found = compare_pcrs(log, {index: replay_pcrs(log)[index] for index in quoted})
    assert found.state == "mismatch"


# -- secure boot ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "said"), [(b"\1", True), (b"\0", False), (b"", False), (b"\2", None)])
def test_secure_boot_is_what_the_variable_says(boot: EventLogPlan, value: bytes, said: bool | None) -> None:
    boot.events[2] = eventlog.variable(1, "SecureBoot", value)
    assert secure_boot_of(boot) is said


def test_a_secure_boot_variable_after_the_first_separator_does_not_count(boot: EventLogPlan) -> None:
    boot.events[2] = eventlog.variable(1, "SecureBoot", b"\0")
    boot.events.append(eventlog.variable(1, "SecureBoot", b"\1"))
    assert secure_boot_of(boot) is False
    del boot.events[2]
    assert secure_boot_of(boot) is None


def test_two_secure_boot_variables_are_none(boot: EventLogPlan) -> None:
    boot.events.insert(2, eventlog.variable(1, "SecureBoot", b"\0"))
    assert secure_boot_of(boot) is None


def test_a_variable_of_that_name_in_another_namespace_does_not_count(boot: EventLogPlan) -> None:
    boot.events[2] = eventlog.variable(1, "SecureBoot", b"\1", eventlog.IMAGE_SECURITY)
    assert secure_boot_of(boot) is None


def test_t_eventlog_variable_data_that_the_digest_is_not_over_do_not_count(boot: EventLogPlan) -> None:
    event = boot.events[2] = eventlog.variable(1, "SecureBoot", b"\0")
    event.data = event.data[:-1] + b"\1"
    assert secure_boot_of(boot) is None


def test_secure_boot_without_a_separator_is_unknown(boot: EventLogPlan) -> None:
    boot.events = [event for event in boot.events if (event.index, event.type) != (1, 4)]
    assert secure_boot_of(boot) is None


@pytest.mark.parametrize("data", [b"\0\0\0\1", b"\xff" * 4, b"\0"])
def test_a_separator_that_reports_an_error_ends_nothing(boot: EventLogPlan, data: bytes) -> None:
    position = boot.events.index(boot.find(1, 4))
    boot.events[position] = eventlog.tied(1, 4, data)
    assert secure_boot_of(boot) is None


def test_a_separator_that_the_digest_is_not_of_ends_nothing(boot: EventLogPlan) -> None:
    """Otherwise an entry of any digest would end the variables where it suits."""
    boot.find(1, 4).measured = b"something else"
    assert secure_boot_of(boot) is None


@pytest.mark.parametrize("kind", [0x800000E0, 0x80000007, 0x80000006])
def test_a_variable_under_another_type_is_none(boot: EventLogPlan, kind: int) -> None:
    boot.events[2].type = kind
    assert secure_boot_of(boot) is None


@pytest.mark.parametrize(
    "data", [b"", b"short", bytes(31), bytes(16) + b"\xff" * 16, bytes(24) + b"\2" + bytes(8)]
)
def test_a_variable_that_cannot_be_read_makes_all_doubtful(boot: EventLogPlan, data: bytes) -> None:
    boot.events.insert(3, eventlog.tied(1, 0x80000001, data))
    assert secure_boot_of(boot) is None


@pytest.mark.parametrize("kind", [0x8000000A, 0x8000000B, 0x3, 0xD, 6, 0x80000002])
def test_the_real_variables_cannot_be_hidden_under_other_types(boot: EventLogPlan, kind: int) -> None:
    """An operating system that was booted insecurely appends the firmware's entries as it would like them."""
    honest = [event for event in boot.events if event.index == 1]
    real = [eventlog.variable(1, "SecureBoot", b"\0") if event is honest[2] else event for event in honest]
    hidden = [relabelled(event, kind) for event in real]
    boot.events = [*hidden, *honest]
    if kind == 3:
        assert secure_boot_of(boot) is True, "entries that are not measured are not there at all"
        return
    assert secure_boot_of(boot) is None


def test_one_of_each_block_before_the_variables_and_no_more(boot: EventLogPlan) -> None:
    boot.events.insert(1, relabelled(boot.events[1], 0x8000000A))
    assert secure_boot_of(boot) is None


def test_a_block_among_the_variables_makes_them_doubtful(boot: EventLogPlan) -> None:
    boot.events[1], boot.events[3] = boot.events[3], boot.events[1]
    assert secure_boot_of(boot) is None


# -- kernel -----------------------------------------------------------------------------------------


def test_several_images_are_no_kernel(boot: EventLogPlan) -> None:
    boot.events.insert(9, eventlog.image(2, b"MZ a loader", b"\\EFI\\BOOT"))
    assert of(boot).claims() == {"secure-boot": "true"}


def test_an_evil_image_cannot_be_hidden_behind_the_wanted_one(boot: EventLogPlan) -> None:
    """It ran, and extended the register with the digest that a policy wants."""
    wanted = boot.find(2, 0x80000003)
    evil = eventlog.image(2, b"MZ evil")
    boot.events[boot.events.index(wanted)] = evil
    boot.events.append(wanted)
    for kind, data in [
        (0xD, b"grub\0"),
        (6, b"\0" * 8),
        (0x80000007, b"Calling EFI Application from Boot Option"),
        (0x80000007, evil.measured),
        (0x80000006, evil.measured),
        (4, evil.measured),
        (4, b"\0\0\0\0"),
        (0x800000E0, evil.measured),
        (0x80000001, evil.measured),
    ]:
        boot.events[boot.events.index(evil)] = evil = relabelled(evil, kind, data)
        assert of(boot).kernel is None, f"{kind:#x} {data!r}"
        evil.index = 2


@pytest.mark.parametrize("kind", [0x800000E0, 0x80000001, 0x80000007])
def test_only_a_partition_table_may_begin_as_one(boot: EventLogPlan, kind: int) -> None:
    boot.events.append(eventlog.tied(2, kind, b"EFI PART"))
    assert of(boot).kernel is None
    boot.events[-1].type = 0x80000006
    assert of(boot) == DIRECT
    boot.events[-1] = eventlog.tied(2, 0x80000006, b"MZ a program")
    assert of(boot).kernel is None


def test_an_image_that_measured_nothing_and_came_from_elsewhere_is_no_kernel(boot: EventLogPlan) -> None:
    boot.events = [event for event in boot.events if event.index != 3]
    boot.find(2, 0x80000003).data = b"\\EFI\\BOOT\\BOOTX64.EFI"
    assert of(boot).kernel is None


def test_an_image_from_a_disk_that_measures_as_the_stub_does_is_a_kernel(boot: EventLogPlan) -> None:
    boot.find(2, 0x80000003).data = b"\\EFI\\Linux\\vmlinuz.efi"
    assert of(boot) == DIRECT


# -- command line and initrd ------------------------------------------------------------------------


def test_the_real_command_line_and_initrd_cannot_be_hidden(boot: EventLogPlan) -> None:
    """An initrd of the host's ran, and extended the register with the digests that a policy wants."""
    wanted = [event for event in boot.events if event.index == 3]
    evil = eventlog.stub_entries(3, "init=/evil", b"evil initrd")
    others = [event for event in boot.events if event.index != 3]
    for hide in (
        [relabelled(event) for event in evil],
        [relabelled(event, 6, tagged(0x4141454C, b"AAEL a b c")) for event in evil],
        [relabelled(event, 0xD, b"MokList\0") for event in evil],
        evil,
    ):
        boot.events = [*others, *hide, *wanted]
        found = of(boot)
        assert (found.cmdline, found.initrd) == (None, None)
    boot.events = [*others, evil[0], relabelled(evil[1]), wanted[1]]
    assert of(boot).initrd is None


@pytest.mark.parametrize("order", [(1, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)])
def test_the_stubs_entries_stand_once_and_in_its_order(boot: EventLogPlan, order: tuple[int, ...]) -> None:
    entries = [event for event in boot.events if event.index == 3]
    boot.events = [event for event in boot.events if event.index != 3] + [entries[one] for one in order]
    found = of(boot)
    assert (found.cmdline, found.initrd) == (None, None)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xed\x22\x3b\x8f\x1a\0\0", tagged(0x8F3B22ED, b"other\0"), b"\xed\x22\x3b\x8f" + bytes(30)],
)
def test_an_entry_not_written_as_the_stub_writes_is_none(boot: EventLogPlan, data: bytes) -> None:
    boot.find(3, 6).data = data
    assert of(boot).cmdline is None


def test_what_grub_says_is_no_fact(boot: EventLogPlan) -> None:
    """Its command lines are tied, but nothing marks where GRUB ended and the system it started began."""
    boot.events = [event for event in boot.events if event.index != 3]
    text = b"/vmlinuz root=/dev/vda1"
    line = Logged(3, 0xD, b"kernel_cmdline: " + text + b"\0", text)
    boot.events.append(line)
    assert tie(read(boot).events[-1]) == "text"
    assert of(boot).cmdline is None


# -- ties -------------------------------------------------------------------------------------------


def test_each_rule_ties_data_to_a_digest() -> None:
    grub = b"set default=0"
    for event, how in [
        (eventlog.separator(1), "data"),
        (eventlog.action(1, "anything"), "data"),
        (eventlog.tied(1, 0x80000006, b"EFI PART"), "data"),
        (eventlog.variable(1, "db", b"x"), "data"),
        (eventlog.tied(1, 0x800000E0, b"x"), "data"),
        (eventlog.boot_variable(1, "Boot0000", b"x"), "variable data"),
        (eventlog.tied(1, 0x80000002, eventlog.boot_variable(1, "Boot0000", b"x").data), "data"),
        (Logged(3, 0xD, b"grub_cmd: " + grub + b"\0", grub), "text"),
        (Logged(3, 0xD, b"grub_cmd: " + grub + b"\0", grub + b"\0"), "text"),
        (eventlog.tied(4, 6, tagged(0x4141454C, b"a b c")), "data"),
        (eventlog.tied(3, 0xD, b"MokList\0"), None),
        (eventlog.tied(3, 6, tagged(0x8F3B22EC, b"Linux initrd\0")), None),
        (eventlog.tied(3, 6, tagged(0x4141454C, b"a b c") + b"!"), None),
        (eventlog.tied(2, 0x80000003, b"MZ"), None),
        (eventlog.tied(1, 0xDEADBEEF, b"x"), None),
    ]:
        (logged,) = read(EventLogPlan([event])).events
        assert tie(logged) == how, event


@pytest.mark.parametrize("kind", [4, 0x80000007, 0x80000006, 0x80000001, 0x800000E0, 0x80000002, 0xD, 6])
def test_one_other_byte_unties(kind: int) -> None:
    data = eventlog.boot_variable(1, "Boot0000", b"abc").data
    for other in (data[:-1] + b"x", data + b"x", b""):
        (logged,) = read(EventLogPlan([Logged(1, kind, other, data)])).events
        assert tie(logged) is None


def _dstack(*names: str, payload: bytes = b"\x01") -> EventLog:
    plan = EventLogPlan([Logged(4, 0x08000001, payload, name.encode()) for name in names])
    log = read(plan)
    events = tuple(
        type(event)(4, event.type, ((0x0C, runtime_digest(name, payload)),), payload, name)
        for event, name in zip(log.events, names, strict=True)
    )
    return EventLog("dstack", b"", log.algorithms, events)


def test_dstack_identities_end_where_the_workload_begins() -> None:
    log = _dstack("app-id", "compose-hash", "system-ready", "workload", "workload")
    assert set(dstack_identities(log)) == {"app-id", "compose-hash"}
    assert dstack_identities(_dstack("app-id", "compose-hash")) == {}


@pytest.mark.parametrize(
    "names",
    [
        ("app-id", "app-id", "system-ready"),
        ("app-id", "system-ready", "app-id"),
        ("app-id", "system-ready", "system-ready"),
    ],
)
def test_a_dstack_identity_given_twice_is_none(names: tuple[str, ...]) -> None:
    assert dstack_identities(_dstack(*names)) == {}


def test_a_dstack_payload_that_the_digest_is_not_over_is_none() -> None:
    log = _dstack("app-id", "system-ready")
    event = log.events[0]
    changed = type(event)(4, event.type, event.digests, b"\x02", event.name)
    assert dstack_identities(EventLog("dstack", b"", log.algorithms, (changed, log.events[1]))) == {}


def test_facts_never_raise_on_a_parsed_log(vectors: Vectors) -> None:
    for name in ("ccel-parse-grub-trustee", "ccel-parse-ovmf-trustee"):
        log = EventLog.parse(vectors.read(name, "event_log"))
        for end in range(len(log.events)):
            shorter = EventLog(log.form, b"", log.algorithms, log.events[:end])
            assert isinstance(Replay(shorter, "sha384", frozenset(range(1, 5)), {}).facts(), facts.BootFacts)


def test_what_a_guest_lists_is_bounded(boot: EventLogPlan) -> None:
    many = [f"name-{number}" for number in range(facts.MAX_LISTED + 1)]
    assert len(dstack_identities(_dstack(*many[1:], "system-ready"))) == facts.MAX_LISTED
    assert dstack_identities(_dstack(*many, "system-ready")) == {}
    most = b"x" * facts.MAX_PAYLOAD
    assert dstack_identities(_dstack("app-id", "system-ready", payload=most)) == {"app-id": most}
    assert dstack_identities(_dstack("app-id", "system-ready", payload=most + b"x")) == {}
    boot.events += [eventlog.image(2, b"MZ %d" % number) for number in range(100)]
    assert len(facts.images(read(boot), "sha384", {2})) == facts.MAX_LISTED


def test_a_tpm_has_no_blocks_before_its_variables(tpm: EventLogPlan) -> None:
    position = tpm.events.index(tpm.find(7, 0x80000001))
    tpm.events.insert(position, eventlog.tied(7, 0x8000000A, b"a block"))
    assert secure_boot_of(tpm) is None


def test_an_algorithm_that_the_event_lacks_or_nobody_knows_ties_nothing(boot: EventLogPlan) -> None:
    log = read(boot)
    assert tie(log.events[2], 0x0B) is None
    unknown = type(log.events[2])(1, 4, ((0x77, b"x" * 48),), bytes(4))
    assert tie(unknown, 0x77) is None


def test_only_a_tagged_event_has_a_tag(boot: EventLogPlan) -> None:
    boot.find(3, 6).type = 0xD
    assert of(boot).cmdline is None


def test_a_variable_is_read_only_where_its_sizes_add_up() -> None:
    whole = Variable(facts.GLOBAL_VARIABLE, "Boot", b"abc").encode()
    assert Variable.read(whole) == Variable(facts.GLOBAL_VARIABLE, "Boot", b"abc")
    nameless = Variable(facts.GLOBAL_VARIABLE, "", b"").encode()
    assert (len(nameless), Variable.read(nameless)) == (32, Variable(facts.GLOBAL_VARIABLE, "", b""))
    for raw in (whole[:-1], whole + b"\0", whole[:31], whole[:16] + b"\xff" * 8 + whole[24:]):
        assert Variable.read(raw) is None
    assert Variable.read(whole[:32] + b"\x00\xd8" * 4 + b"abc") is None, "half a surrogate pair"


def test_grubs_text_ends_with_a_nul() -> None:
    (logged,) = read(EventLogPlan([Logged(3, 0xD, b"grub_cmd: boot", b"boo")])).events
    assert tie(logged) is None


def test_a_tag_without_content_is_one() -> None:
    (logged,) = read(EventLogPlan([eventlog.tied(4, 6, tagged(0x4141454C, b""))])).events
    assert tie(logged) == "data"
