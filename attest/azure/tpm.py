"""TPM quotes: TPMS_ATTEST over selected PCRs, its signature, and the PCR values that came along.

Big-endian. Source: TCG TPM 2.0 Library, part 2: Structures (TPMS_ATTEST, TPMS_QUOTE_INFO).
"""

from __future__ import annotations

from dataclasses import dataclass

from attest.problems import malformed

MAGIC = bytes.fromhex("ff544347")
QUOTE = 0x8018
SHA256 = 0x000B
_RSASSA = 0x0014
MAX_MESSAGE = 1024
MAX_SIGNATURE = 1024
MAX_PCRS = 24
_MAX_SELECTIONS = 16


@dataclass(frozen=True, slots=True)
class Selection:
    """One bank: its hash algorithm and the selected registers, ascending. bytes: length of the bitmap."""

    algorithm: int
    indices: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Attest:
    """TPMS_ATTEST of a quote, parsed to its last byte.

    qualified_signer: name of the key within its hierarchy. extra_data: the caller's nonce. clock in ms.
    """

    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: int
    firmware_version: bytes
    selections: tuple[Selection, ...]
    pcr_digest: bytes

    @classmethod
    def parse(cls, message: bytes) -> Attest:
        """Raises Malformed. A restricted key signs foreign data only where it does not start with the magic
        number: without this check any 32 bytes that the key hashed and signed would be a quote."""
        if len(message) > MAX_MESSAGE:
            raise malformed(
                "The TPM quote is too large", where="tpm.message", expected=MAX_MESSAGE, found=len(message)
            )
        read = _Reader(message)
        magic = read.take(4, "magic")
        if magic != MAGIC:
            raise malformed(
                "The signed structure was not made by a TPM",
                where="tpm.message.magic",
                expected=MAGIC,
                found=magic,
                code="azure.tpm.magic",
            )
        kind = read.number(2, "type")
        if kind != QUOTE:
            raise malformed(
                "The signed structure is no quote",
                where="tpm.message.type",
                expected=f"{QUOTE:#06x}",
                found=f"{kind:#06x}",
                code="azure.tpm.type",
            )
        signer = read.sized("qualifiedSigner")
        extra_data = read.sized("extraData")
        clock = read.number(8, "clockInfo.clock")
        resets = read.number(4, "clockInfo.resetCount")
        restarts = read.number(4, "clockInfo.restartCount")
        safe = read.number(1, "clockInfo.safe")
        firmware = read.take(8, "firmwareVersion")
        count = read.number(4, "pcrSelect.count")
        if count > _MAX_SELECTIONS:
            raise malformed(
                "The quote has too many selections",
                where="tpm.message.pcrSelect",
                expected=f"≤ {_MAX_SELECTIONS}",
                found=count,
            )
        selections = tuple(read.selection() for _ in range(count))
        digest = read.sized("pcrDigest")
        read.finish()
        return cls(signer, extra_data, clock, resets, restarts, safe, firmware, selections, digest)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int, field: str) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise malformed(
                "The TPM quote is cut short",
                where=f"tpm.message.{field}",
                expected=f"{size} bytes at {self._at}",
                found=len(self._data) - self._at,
            )
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int, field: str) -> int:
        return int.from_bytes(self.take(size, field), "big")

    def sized(self, field: str) -> bytes:
        return self.take(self.number(2, field), field)

    def selection(self) -> Selection:
        algorithm = self.number(2, "pcrSelect.hash")
        size = self.number(1, "pcrSelect.sizeofSelect")
        bitmap = self.take(size, "pcrSelect.pcrSelect")
        indices = tuple(i for i in range(8 * size) if bitmap[i // 8] >> i % 8 & 1)
        return Selection(algorithm, indices, size)

    def finish(self) -> None:
        if self._at != len(self._data):
            raise malformed(
                "Bytes follow the TPM quote", where="tpm.message", found=f"{len(self._data) - self._at} bytes"
            )


@dataclass(frozen=True, slots=True)
class TpmQuote:
    """A quote, believed by nobody.

    message: the signed TPMS_ATTEST. signature: RSASSA, as long as the modulus. pcrs: values in the order
    of the selected registers, None where none came along.
    """

    message: bytes
    signature: bytes
    pcrs: tuple[bytes, ...] | None
    attest: Attest

    @classmethod
    def parse(cls, message: bytes, signature: bytes, pcrs: tuple[bytes, ...] | None) -> TpmQuote:
        """Raises Malformed. signature: bare, or a TPMT_SIGNATURE of RSASSA with SHA-256."""
        if len(signature) > MAX_SIGNATURE:
            raise malformed("The signature is too large", where="tpm.signature", found=len(signature))
        if pcrs is not None and len(pcrs) > MAX_PCRS:
            raise malformed("A TPM has 24 PCRs", where="tpm.pcrs", expected=MAX_PCRS, found=len(pcrs))
        return cls(message, bare_signature(signature), pcrs, Attest.parse(message))


def bare_signature(signature: bytes) -> bytes:
    """Without the TPMT_SIGNATURE around it, where that is there exactly."""
    head = _RSASSA.to_bytes(2, "big") + SHA256.to_bytes(2, "big")
    if signature[:4] == head and int.from_bytes(signature[4:6], "big") == len(signature) - 6:
        return signature[6:]
    return signature
