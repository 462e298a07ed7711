"""Problem codes: second opinions of NVIDIA's remote attestation service and of its local verifier."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_EAT = "NVIDIA Remote Attestation Service, detached EAT"
_CLAIMS = "NVIDIA attestation documentation, GPU and switch claims"
_AGAIN = "ask the service again, with this challenge and this evidence: --nras, or --nras-token with its new answer"

PROBLEMS: dict[str, Meaning] = {
    "nras.malformed": Meaning(
        "The answer of the attestation service is not built as one",
        _EAT,
        "give with --nras-token the whole answer of the service, or the file of nvattest that holds it as detached_eat",
    ),
    "nras.keys": Meaning(
        "A key set of the attestation service cannot be used",
        "RFC 7517, RFC 7518 §6.2",
        "fetch /.well-known/jwks.json from the service's own host again, and give it with --nras-jwks",
    ),
    "nras.local-token": Meaning(
        "The token was made by a local verifier and is signed by nobody",
        "NVIDIA attestation SDK, local verifier",
        "a local verifier's token is worth nothing elsewhere: ask the remote service, or run the local verifier "
        "here with --nvidia-python",
    ),
    "nras.algorithm": Meaning(
        "The token is signed by another algorithm than the service's", "RFC 8725 §3.1", _AGAIN
    ),
    "nras.header": Meaning(
        "The token's header brings a key, an address or an extension of its own",
        "RFC 8725 §3.10",
        "no genuine token has one: " + _AGAIN,
    ),
    "nras.key.unknown": Meaning(
        "The token names a key that is not in the service's key set",
        "RFC 7517 §4.5",
        "fetch the key set again and give it with --nras-jwks; keys of tokens long past are no longer in it",
    ),
    "nras.signature.invalid": Meaning(
        "The token is not signed by the service's key", "RFC 7515 §5.2", _AGAIN
    ),
    "nras.simulated": Meaning(
        "The token is a simulator's",
        "the simulator's critical certificate extension",
        "name the simulator's root with --simulator-root, in a test",
    ),
    "nras.issuer": Meaning(
        "The token is of another issuer than the production service",
        "RFC 7519 §4.1.1",
        "staging and other services vouch for nothing: ask https://nras.attestation.nvidia.com, with --nras",
    ),
    "nras.claims": Meaning("The token lacks a claim it must have, or has it in another form", _EAT, _AGAIN),
    "nras.version": Meaning(
        "The token's claims are of a version that this verifier does not know, or of two",
        _CLAIMS,
        "ask for claims version 2.0 or 3.0",
    ),
    "nras.expired": Meaning("The token has expired", "RFC 7519 §4.1.4", _AGAIN),
    "nras.not-yet-valid": Meaning(
        "The token is from the future",
        "RFC 7519 §4.1.5, §4.1.6",
        "set the clock right, or give the right --at",
    ),
    "nras.nonce": Meaning(
        "The token answers another challenge",
        "RFC 9711, eat_nonce",
        "ask the service with the nonce that these devices were asked with, and give that one: --gpu-nonce, or --nonce and --key",
    ),
    "nras.submodules": Meaning(
        "The devices' tokens are not those that the overall token names",
        "RFC 9711, detached EAT bundles",
        _AGAIN,
    ),
    "nras.digest": Meaning(
        "A device's token is not the one whose digest the overall token holds",
        "RFC 9711, detached EAT bundles",
        _AGAIN,
    ),
    "nras.count": Meaning(
        "The service speaks of more or fewer devices than were sent",
        _EAT,
        "send every device; give one answer for the GPUs and one for the switches, each with --nras-token",
    ),
    "nras.identity": Meaning(
        "The service speaks of another device than the evidence",
        "NVIDIA attestation documentation, ueid, hwmodel and versions",
        "give with --nras-token the answer to this evidence",
    ),
    "nras.verdict": Meaning(
        "The service does not say that these devices are good", _EAT, "see what it says of each device"
    ),
    "nras.error": Meaning("The service reports an error", _EAT, "repair what it names, then ask again"),
    "nras.device": Meaning(
        "The service does not confirm something of a device",
        _CLAIMS,
        "see what this verifier says of the same device",
    ),
    "nras.warning": Meaning(
        "The service warns of a certificate on hold",
        _CLAIMS,
        "use firmware and driver that NVIDIA has released and not withdrawn",
    ),
    "nras.unreachable": Meaning(
        "The attestation service gave no answer",
        "NVIDIA Remote Attestation Service",
        "try again later, or verify without a second opinion: this verifier needs none",
    ),
    "second-opinion.nothing-to-ask": Meaning(
        "There is no device to ask a second opinion of",
        "NVIDIA attestation SDK",
        "--second-opinion nvidia needs evidence of a GPU or a switch",
    ),
    "second-opinion.no-nonce": Meaning(
        "A second opinion is about a challenge, and none was given",
        "RFC 9334, freshness and binding",
        "give --gpu-nonce, or --nonce and --key",
    ),
    "second-opinion.unavailable": Meaning(
        "NVIDIA's local verifier cannot be run",
        "nv-attestation-sdk, nv-local-gpu-verifier",
        "install it beside this program: make peers; then --nvidia-python build/peers/nvidia/bin/python",
    ),
    "second-opinion.disagrees": Meaning(
        "NVIDIA's local verifier finds otherwise than this verifier",
        "nv-attestation-sdk, nv-local-gpu-verifier",
        "compare the two lists of findings; one of them has a mistake, so nothing is accepted",
    ),
    "second-opinion.refuses": Meaning(
        "NVIDIA's local verifier refuses the device",
        "nv-attestation-sdk, nv-local-gpu-verifier",
        "see what it says; this verifier accepts nothing that it was asked about and refuses",
    ),
}
