"""Every lint in one table: why it is dangerous, the threat behind it, what to do."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

LINTS: dict[str, Meaning] = {
    "no-workload-identity": Meaning(
        "Any program on such a machine passes, an attacker's too",
        "T-FACTORY",
        "pin snp.measurement, or id-key with guest-svn; on tdx mrtd, rtmr1 and rtmr2; on azure also pcr4, pcr9 or pcr11",
    ),
    "host-chosen-identity": Meaning(
        "The host or the guest itself chooses this value: whoever attacks can choose the same",
        "T-FACTORY, T-INITDATA",
        "pin the launch measurement too; this value ties it to a deployment",
    ),
    "key-unbound": Meaning(
        "Evidence of one machine can be shown by another, which then gets the secret",
        "T-KEYSWAP, T-RELAY",
        "write binding: {key: true}",
    ),
    "platform-none": Meaning(
        "Devices without a CPU part say nothing of the machine they are in; no secret is released on it",
        "T-UNBOUND",
        "list the CPU's platform, unless this is an inventory of devices",
    ),
    "count-missing": Meaning(
        "One device is enough where eight were meant, and one that nobody asked for passes",
        "T-EMPTY",
        "write count: {at-least: N} or {is: N}",
    ),
    "gpu-unbound": Meaning(
        "The devices may be another machine's",
        "T-UNBOUND",
        "take the rule away; the default asks for the tie",
    ),
    "gpu-without-workload": Meaning(
        "That a device is on this machine's bus is known from the measured software alone: another program "
        "can fetch its report from elsewhere",
        "T-GPU",
        "pin the workload, whose driver checks the device before it is used",
    ),
    "minimum-missing": Meaning(
        "Old firmware with published holes passes",
        "T-TCB-ROLLBACK",
        "write a minimum: fixed: [amd-sb-3019], tcb: {at-least: …}, driver, vbios or bios: {at-least: …}",
    ),
    "fabric-without-switches": Meaning(
        "In protected PCIe mode what GPUs send each other crosses the switches in clear: who gives none shows nothing of them",
        "T-GPU-MODE",
        "write switch: {count: 4}, or let pass spt and mpt alone",
    ),
    "lag-long": Meaning(
        "A platform that has been behind Intel's list of holes for more than a year passes",
        "T-TDX-STATUS, T-TCB-ROLLBACK",
        "write tcb-lag: {at-most: 30d}, or accept each advisory by name to a date",
    ),
    "floor-replaced": Meaning(
        "Floor data rises with Intel's findings, a number of your own does not",
        "T-COLLATERAL-ROLLBACK",
        "take the rule away, or put it inside all, beside the default",
    ),
    "version-equality": Meaning(
        "A list of equal versions is forgotten: it refuses the next fix, and keeps an old hole on the list",
        "T-TCB-ROLLBACK",
        "write at-least",
    ),
    "deny-list": Meaning(
        "A list of what is bad passes everything that nobody thought of",
        "T-RV",
        "write the values that are good: is, one-of or in; revoke with state: revoked",
    ),
    "loosened": Meaning(
        "Something that the defaults or a parent refuse is let pass",
        "T-DEBUG, T-TDX-STATUS",
        "check that the reason still holds",
    ),
    "verdict-of-others": Meaning(
        "Whoever holds that issuer's key decides in your place", "T-NRAS", "verify yourself where you can"
    ),
    "allows-simulated": Meaning(
        "A machine that is software gets the secret", "T-SAMPLE", "only for tests: take it away in production"
    ),
    "allows-no-freshness": Meaning(
        "Old or borrowed evidence gets the secret", "T-REPLAY", "give a nonce, and take the line away"
    ),
    "allows-revocation-unchecked": Meaning(
        "A revoked chip or device gets the secret: who attests can leave the list out",
        "T-OMIT, T-CRL",
        "keep revocation lists at hand, and take the line away",
    ),
    "allows-no-workload-identity": Meaning(
        "Any program gets the secret", "T-FACTORY", "pin the workload, and take the line away"
    ),
    "allows-os-unmeasured": Meaning(
        "Whatever the pinned firmware boots gets the secret",
        "T-FACTORY",
        "measure kernel, initrd and command line, and say covers: image",
    ),
    "allows-unappraised": Meaning(
        "A device that no rule speaks of is part of what gets the secret",
        "T-EMPTY",
        "write a section for it, and take the line away",
    ),
    "allows-paravisor-unknown": Meaning(
        "Anyone can write Azure's claims on a machine of his own", "T-PARAVISOR", "pin the paravisor"
    ),
    "allows-collateral-memory-absent": Meaning(
        "Old lists and collateral, in which a hole or a revocation is not yet, are as good as new ones",
        "T-MEMORY, T-COLLATERAL-ROLLBACK",
        "keep a memory of collateral, and take the line away",
    ),
    "allows-no-floors": Meaning(
        "Intel's early collateral, which hides findings, gets the secret",
        "T-COLLATERAL-ROLLBACK",
        "use floor data, and take the line away",
    ),
    "allows-nvidia.topology.incomplete": Meaning(
        "A part of the node's fabric that nobody looked at is part of what gets the secret",
        "T-GPU-MODE, T-EMPTY",
        "ask for the count of GPUs and switches, and take the line away",
    ),
    "allows-gpu-mode-unknown": Meaning(
        "A device that does not say that it protects its memory gets the secret",
        "T-GPU-MODE",
        "write mode: {one-of: [spt, mpt]}, and take the line away",
    ),
    "allows-nonce.public-sample": Meaning(
        "Evidence made for a nonce that everybody knows gets the secret",
        "T-REPLAY",
        "give a nonce, and take the line away",
    ),
    "allows-issuer.silent": Meaning(
        "What another verifier says nothing of gets the secret as if it were good",
        "T-NRAS",
        "verify yourself where you can, and take the line away",
    ),
    "allows-issuer.warned": Meaning(
        "A machine that its verifier warns of gets the secret",
        "T-NRAS",
        "judge the claims yourself, and take the line away",
    ),
    "reference-ends": Meaning(
        "Machines with this value are refused from then on", "T-RV", "list the next version, or extend it"
    ),
    "reference-ended": Meaning("The value passes no more", "T-RV", "take it away, or extend it"),
    "set-empty": Meaning("Every machine is refused", "T-RV", "list a value that is valid"),
    "observed": Meaning(
        "It was seen on a machine, which is no proof of whose program it is",
        "T-RV",
        "compute it from your build, say origin, and take the state away",
    ),
    "covers-unsaid": Meaning(
        "If it covers the firmware alone, anything can be booted after it",
        "T-FACTORY",
        "say covers: image or covers: firmware",
    ),
    "grace-ends": Meaning(
        "What is warned of today is refused then", "T-TDX-STATUS", "see that the machines are updated"
    ),
    "grace-ended": Meaning("The rule refuses now", "T-TDX-STATUS", "take else and until away"),
    "accept-ends": Meaning(
        "Machines with this finding are refused then", "T-TDX-STATUS", "see that they are updated"
    ),
    "accept-ended": Meaning("The acceptance has no effect any more", "T-TDX-STATUS", "take it away"),
    "end-distant": Meaning(
        "What ends in more than a year does not end", "T-TDX-STATUS", "set an end that somebody will see"
    ),
    "section-unasked": Meaning(
        "Its rules refuse nothing: they are asked of no machine that this policy lets pass",
        "T-EMPTY",
        "list the platform, or take the section away",
    ),
    "unused-set": Meaning(
        "Values that no rule asks for protect nothing", "T-RV", "write CLAIM: {in: SET}, or take the set away"
    ),
    "unused-parameter": Meaning(
        "A value is asked for and has no effect", "T-RV", 'write "${NAME}" where it is meant, or take it away'
    ),
}
