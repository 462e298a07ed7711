"""The main job, end to end: real evidence verified, a broker, an enclave that gets its key, one that does not.

Every line after a `$` is a command that runs as shown. Nothing outside a temporary folder is written, and
nothing is left running.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealed import open_sealed, seal

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
EVIDENCE = Path("tests/evidence")
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ

REAL = (
    ("AMD SEV-SNP, an EPYC Genoa of 2025", "snp-genoa", "2025-09-06T17:21:41Z"),
    ("Intel TDX, a quote of 2025 with Intel's collateral", "tdx-v4", "2025-06-22T10:32:27Z"),
    ("NVIDIA H100, with its driver and VBIOS reference manifests", "h100", "2025-10-24T18:00:00Z"),
)


class Failure(Exception):
    """A step did not end as it must."""


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def title(number: int, text: str) -> None:
    print(f"\n{paint('1', f'{number}. {text}')}", flush=True)


def say(text: str) -> None:
    print(paint("2", f"   {text}"), flush=True)


def run(*arguments: object, expect: int = 0, env: dict[str, str] | None = None, show: bool = True) -> str:
    """Run one of our commands, show it with its output, insist on its exit status."""
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:]],
        cwd=ROOT,
        env=os.environ | (env or {}) | {"COLUMNS": "108"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if show:
        print(f"   {paint('36', '$ ' + shown(words))}")
        for line in (done.stdout + done.stderr).rstrip().splitlines():
            print(f"   {line.replace(os.environ['DEMO'], '$DEMO')}")
        sys.stdout.flush()
    if done.returncode != expect:
        raise Failure(f"{words[0]} ended with {done.returncode}, not {expect}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def shown(words: list[str]) -> str:
    """The command as a person would type it."""
    text = shlex.join(words)
    for folder, name in ((os.environ["DEMO"], "$DEMO"), (f"{ROOT}/", "")):
        text = text.replace(folder, name)
    return text


@contextmanager
def broker(state: Path, endorsements: Path, root: Path) -> Iterator[str]:
    """`kbs serve` on a free port of this machine, gone when the block ends."""
    words = ["kbs", "serve", "--state", state, "--endorsements", endorsements, "--simulator-root", root]
    arguments = [*map(str, words), "--port", "0"]
    print(f"   {paint('36', '$ ' + shown(arguments) + ' &')}")
    with open(state.parent / "broker.log", "w+") as log:
        process = subprocess.Popen([str(BIN / "kbs"), *arguments[1:]], stdout=log, stderr=log, cwd=ROOT)
        try:
            for _ in range(200):
                address = re.search(r"serving (http://\S+)", (state.parent / "broker.log").read_text())
                if address or process.poll() is not None:
                    break
                time.sleep(0.05)
            if not address:
                raise Failure(f"the broker did not start: {(state.parent / 'broker.log').read_text()}")
            print(f"   {address.group(0)}", flush=True)
            yield address.group(1)
        finally:
            process.terminate()
            process.wait(10)


def real_evidence() -> None:
    title(1, "Evidence of three real machines, verified at the time it was recorded")
    for name, folder, at in REAL:
        print()
        say(name)
        run("attest", "verify", *sorted((EVIDENCE / folder).glob("*")), "--at", at)


def flipped_bit(work: Path) -> None:
    title(2, "The same SNP report with a single bit flipped")
    report = bytearray((ROOT / EVIDENCE / "snp-genoa" / "report.bin").read_bytes())
    report[0x90] ^= 1
    say(f"first byte of the launch measurement: {report[0x90] ^ 1:#04x} → {report[0x90]:#04x}")
    flipped = work / "flipped.bin"
    flipped.write_bytes(report)
    rest = [path for path in sorted((EVIDENCE / "snp-genoa").glob("*")) if path.name != "report.bin"]
    run("attest", "verify", flipped, *rest, "--at", REAL[0][2], expect=1)


def enclaves(work: Path, simulator: threading.Thread) -> None:
    title(3, "A key broker, and the policy of an owner")
    say("policies/demo.yaml asks of a machine:")
    show_rules(ROOT / "policies" / "demo.yaml")
    admin, model_key = work / "admin.key", work / "model.key"
    say("the owner's model is sealed under a key that only the broker holds from now on")
    model_key.write_bytes(secrets.token_bytes(32))
    seal(work / "model.sealed", b"weights of a model: 0.17 0.42 -0.08 ...", model_key.read_bytes())
    run("kbs", "init", "--state", work / "broker", "--admin-key-file", admin)
    simulator.join()
    with broker(work / "broker", work / "endorsements", work / "endorsements/simulator-root.pem") as url:
        env = {"KBS_URL": url, "KBS_ADMIN_KEY": admin.read_text().strip()}
        run("kbs", "owner", "add", "acme", env=env)
        run("kbs", "policy", "put", "--owner", "acme", "--path", "acme/*", "policies/demo.yaml", env=env)
        run("kbs", "secret", "put", "acme/key/model", "--owner", "acme", model_key, env=env)
        model_key.unlink()

        title(
            4, "A CPU+GPU enclave boots, proves itself, and gets the key (SIMULATED: SNP Genoa with one H100)"
        )
        guest = {"KBS_URL": url}
        asking = ("kbs", "guest", "get", "--path", "acme/key/model", "--simulate", work / "machine.json")
        run(*asking, "-o", work / "enclave.key", env=guest)
        say(
            f"the sealed file opens: {open_sealed(work / 'model.sealed', (work / 'enclave.key').read_bytes())!r}"
        )

        title(5, "The same enclave, its SNP firmware too old")
        answer = run(*asking, "-o", work / "no.key", "--set", "reported_tcb.snp=20", env=guest, expect=1)
        if (work / "no.key").exists():
            raise Failure("a refused enclave holds a key")
        say("a guest learns a reason number, no more; the owner sees why:")
        reason = re.search(r"reason ([0-9a-f]+)", answer)
        if reason is None:
            raise Failure("the refusal carries no reason")
        run("kbs", "why", reason.group(1), env=env)
        run("kbs", "audit", "verify", env=env)


def show_rules(policy: Path) -> None:
    """The rules of a policy file without its comments."""
    text = policy.read_text()
    for line in text[text.index("require:") :].splitlines():
        print(f"     {line.partition(' #')[0]}")


def make_machine(work: Path) -> None:
    """Keys and roots of the simulated machine, and the endorsements a broker needs of it."""
    run(
        "attest", "simulate", "machine", "-o", work / "endorsements", "--state", work / "machine.json",
        "--nonce", secrets.token_hex(32), show=False,
    )  # fmt: skip
    (work / "endorsements" / "simulated-machine.json").unlink()


def main() -> int:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="attest-demo-") as folder:
        os.environ["DEMO"] = folder
        work = Path(folder)
        simulator = threading.Thread(target=make_machine, args=(work,))
        simulator.start()
        try:
            real_evidence()
            flipped_bit(work)
            enclaves(work, simulator)
        except Failure as failure:
            print(f"\nThe demo failed: {failure}", file=sys.stderr)
            return 1
        finally:
            simulator.join()
    print(f"\nDone in {time.perf_counter() - started:.1f} s. Nothing is left running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
