"""Faults of event logs: they lie beside honest registers, and must not pass for the log of that boot."""

from __future__ import annotations

from collections.abc import Callable

from attest.simulator import eventlog
from attest.simulator.azure import AzurePlan
from attest.simulator.eventlog import EventLogPlan
from attest.simulator.faults_azure import AZURE_FAULTS
from attest.simulator.faults_tdx import TDX_FAULTS
from attest.simulator.tdx import TdxPlan

_MALFORMED = "evidence.malformed"
_LARGE = "evidence.too-large"


def _mismatch(name: str, breaks: str) -> Callable[[Callable[[EventLogPlan], None]], None]:
    """The log is read, replays to other values, and says nothing of the boot."""

    def register(change: Callable[[EventLogPlan], None]) -> None:
        @TDX_FAULTS(
            f"log-{name}",
            "12.9 event log",
            breaks,
            claims={"event-log": "mismatch", "boot.kernel": None, "boot.secure-boot": None},
            warnings="event-log.mismatch",
            event_log=True,
        )
        def _(plan: TdxPlan) -> None:
            change(_log(plan))

    return register


def _unreadable(
    name: str, breaks: str, code: str = _MALFORMED
) -> Callable[[Callable[[bytearray], None]], None]:
    def register(edit: Callable[[bytearray], None]) -> None:
        @TDX_FAULTS(f"log-{name}", "12.9 event log", breaks, code, event_log=True)
        def _(plan: TdxPlan) -> None:
            log = _log(plan)
            log.padding = b""
            log.edit = edit

    return register


def _log(plan: TdxPlan | AzurePlan) -> EventLogPlan:
    if plan.event_log is None:
        raise ValueError("this fault needs an event log: event_log=True")
    return plan.event_log


@_mismatch("digest", "one digest is another")
def _(log: EventLogPlan) -> None:
    log.find(1, 0xA).digest = b"\x5a" * 48


@_mismatch("secure-boot-forged", "SecureBoot is on in the log, with a digest that fits, and was off")
def _(log: EventLogPlan) -> None:
    position = log.events.index(log.find(1, 0x80000001))
    log.events[position] = eventlog.variable(1, "SecureBoot", b"\0")


@_mismatch("event-missing", "an entry of RTMR0 is left out")
def _(log: EventLogPlan) -> None:
    log.events.remove(log.find(1, 0xA))


@_mismatch("separator-doubled", "the separator of RTMR1 is there twice")
def _(log: EventLogPlan) -> None:
    log.events.append(eventlog.separator(2))


@_mismatch("reordered", "two entries of RTMR1 changed places")
def _(log: EventLogPlan) -> None:
    first, second = (log.events.index(log.find(2, kind)) for kind in (0x80000003, 0x80000007))
    log.events[first], log.events[second] = log.events[second], log.events[first]


@_mismatch("empty", "there are no entries, and registers that are not zero")
def _(log: EventLogPlan) -> None:
    log.events.clear()


@_mismatch("rtmr2-left-out", "no entry of RTMR2, which is not zero")
def _(log: EventLogPlan) -> None:
    log.events[:] = [event for event in log.events if event.index != 3]


@_mismatch("added", "an entry of RTMR3, which is zero")
def _(log: EventLogPlan) -> None:
    log.events.append(eventlog.tied(4, 6, b"added"))


@_mismatch("no-action-counted", "the entry that counted is marked as not measured")
def _(log: EventLogPlan) -> None:
    log.find(1, 0xA).type = 3


@TDX_FAULTS(
    "log-data",
    "12.9 event data",
    "SecureBoot is on in the log's data, and its digest is that of off",
    claims={"event-log": "replayed", "boot.secure-boot": None},
    event_log=True,
    secure_boot=False,
)
def _(plan: TdxPlan) -> None:
    event = _log(plan).find(1, 0x80000001)
    event.data = event.data[:-1] + b"\1"


@TDX_FAULTS(
    "log-relabelled",
    "12.9 event data",
    "software in the guest extended RTMR2 with the wanted values, and the log calls those the kernel's",
    claims={"event-log": "replayed", "boot.cmdline": None, "boot.initrd": None},
    event_log=True,
)
def _(plan: TdxPlan) -> None:
    log = _log(plan)
    real = [event for event in log.events if event.index == 3]
    for event in real:
        event.type, event.data = 0xD, b"MokList\0"
        event.measured = b"evil " + event.measured
    log.events += eventlog.stub_entries(3, "root=/dev/vda1 ro", b"simulated initrd")
    plan.set_registers()


@_unreadable("truncated", "the last byte is missing")
def _(raw: bytearray) -> None:
    del raw[-1]


@_unreadable("trailing-text", "text follows the last entry")
def _(raw: bytearray) -> None:
    raw += b"more"


@_unreadable("register-unknown", "an entry of register 5")
def _(raw: bytearray) -> None:
    raw += eventlog.EventLogPlan([eventlog.separator(5)]).encode()[_HEAD:]


@_unreadable("algorithm-undeclared", "a digest of an algorithm that the log does not declare")
def _(raw: bytearray) -> None:
    raw[_HEAD + 12] = 0x0B


@_unreadable("size-past-end", "an entry of four gigabytes")
def _(raw: bytearray) -> None:
    raw[_HEAD + 62 : _HEAD + 66] = b"\xff\xff\xff\xff"


@_unreadable("too-many", "10 001 entries")
def _(raw: bytearray) -> None:
    raw[_HEAD:] = eventlog.EventLogPlan([eventlog.tied(1, 6, b"")] * 10_001).encode()[_HEAD:]


@_unreadable("too-large", "more than a mebibyte", _LARGE)
def _(raw: bytearray) -> None:
    raw += b"\xff" * (1 << 20)


# -- an Azure machine's TPM -----------------------------------------------------------------------------------


def _of_tpm(name: str, breaks: str) -> Callable[[Callable[[EventLogPlan], None]], None]:
    def register(change: Callable[[EventLogPlan], None]) -> None:
        @AZURE_FAULTS(
            f"log-{name}",
            "8.10 event log",
            breaks,
            claims={"boot.kernel": None, "boot.secure-boot": None},
            warnings="event-log.mismatch",
            event_log=True,
        )
        def _(plan: AzurePlan) -> None:
            change(_log(plan))

    return register


@_of_tpm("digest", "one digest is another")
def _(log: EventLogPlan) -> None:
    log.find(4, 0x80000003).measured = b"another image"


@_of_tpm("event-missing", "an entry of PCR 5 is left out")
def _(log: EventLogPlan) -> None:
    log.events.remove(log.find(5, 0x80000007))


@_of_tpm("locality", "a startup locality that no TPM has")
def _(log: EventLogPlan) -> None:
    log.events.insert(0, eventlog.tied(0, 3, b"StartupLocality\0\x07"))


@_of_tpm("bank", "there are no SHA-256 digests")
def _(log: EventLogPlan) -> None:
    log.algorithms = (eventlog.SHA384,)


_HEAD = len(eventlog.EventLogPlan([]).encode())
