"""`attest measure snp`: the launch digest of an SEV-SNP guest, and the ID block that approves it."""

from __future__ import annotations

import argparse
import base64
from typing import TYPE_CHECKING, Any

from attest.cli.inputs import check_written
from attest.cli.measure_options import (
    Inputs,
    Wrong,
    add_boot_arguments,
    add_output_arguments,
    number_argument,
    read_boot,
    run,
)
from attest.cli.options import hex_argument
from attest.outputs import write_file

if TYPE_CHECKING:
    from attest.measure import LaunchValue, Measured

_EPILOG = """\
examples:
  attest measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd --append "console=ttyS0" \\
      --vcpus 4 --vcpu-type EPYC-Milan --reference web --release "web 1.4.2"
  attest measure snp --ovmf OVMF.fd --vcpus 2,4,8 --vcpu-type EPYC-Genoa
  attest measure snp --ovmf OVMF.fd --vcpus 4 --vcpu-type EPYC-Genoa --id-key id.pem --guest-svn 3 \\
      --id-block id-block.b64 --id-auth id-auth.b64

--kernel needs a firmware that checks kernel hashes (OvmfPkg/AmdSev), and QEMU's kernel-hashes=on."""

_LIMITS = (
    "HOST_DATA, which the host chooses: require it by its own rule",
    "POLICY (debug, migration), VMPL and TCB: they have claims of their own",
    "memory size, devices and disks: bind a disk by its root hash in the command line (dm-verity)",
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "snp",
        help="the launch digest of an SEV-SNP guest",
        description="Compute MEASUREMENT of an SEV-SNP guest, by sev-snp-measure (extra attest[measure]).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ovmf", required=True, metavar="FILE", help="the firmware image, whole")
    parser.add_argument(
        "--vcpus", required=True, type=_counts, metavar="N[,N]", help="number of vCPUs; several: a value each"
    )
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--vcpu-type", metavar="TYPE", help="QEMU's model, such as EPYC-Milan")
    model.add_argument("--vcpu-sig", type=number_argument, metavar="N", help="CPUID(1).EAX of the model")
    parser.add_argument("--vmm", choices=("qemu", "ec2", "gce"), default="qemu", help="default qemu")
    parser.add_argument(
        "--guest-features", type=number_argument, default=1, metavar="N",
        help="SEV_FEATURES of the vCPUs; default 0x1, 0x21 with DebugSwap",
    )  # fmt: skip
    add_boot_arguments(parser)
    block = parser.add_argument_group("ID block")
    block.add_argument(
        "--id-key", metavar="PEM", help="P-384 key that signs the ID block; public: digest only"
    )
    block.add_argument("--author-key", metavar="PEM", help="P-384 key that signs the ID key")
    block.add_argument("--family-id", type=hex_argument, metavar="HEX", help="16 bytes")
    block.add_argument("--image-id", type=hex_argument, metavar="HEX", help="16 bytes")
    block.add_argument(
        "--guest-svn", type=number_argument, metavar="N", help="counts up: GUEST_SVN; default 0"
    )
    block.add_argument("--guest-policy", type=number_argument, metavar="N", help="default 0x30000")
    block.add_argument("--id-block", metavar="FILE", help="write the block, base64, as QEMU takes it")
    block.add_argument("--id-auth", metavar="FILE", help="write its signatures and keys, base64")
    add_output_arguments(parser)
    parser.set_defaults(run=lambda args: run(args, "snp", _measure))


def _counts(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() for part in parts) or len(set(parts)) != len(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 4 or 2,4,8")
    if len(parts) > 64:
        raise argparse.ArgumentTypeError("64 numbers of vCPUs at most")
    return [int(part) for part in parts]


def _measure(args: argparse.Namespace) -> Measured:
    from attest.measure import LaunchValue, Measured, SnpLaunch, launch_digest, vcpu_signature
    from attest.measure.guided_table import MAX_FIRMWARE
    from attest.measure.snp import tool_version

    check_written(args, {"--id-block": args.id_block, "--id-auth": args.id_auth})
    inputs = Inputs()
    tool = f"attest measure snp by {tool_version()}"
    firmware = inputs.read("firmware", args.ovmf, MAX_FIRMWARE)
    boot = read_boot(args, inputs)
    signature = args.vcpu_sig or 0
    if args.vcpu_type is not None:
        signature = vcpu_signature(args.vcpu_type)
        inputs.say(f"vCPU {args.vcpu_type}")
    if args.vmm == "qemu" and not signature:
        raise Wrong("QEMU's measurement depends on the vCPU model: give --vcpu-type or --vcpu-sig")
    inputs.say(f"vCPU signature 0x{signature:x}, features 0x{args.guest_features:x}, VMM {args.vmm}")
    values: list[LaunchValue] = []
    for count in args.vcpus:
        launch = SnpLaunch(firmware, count, signature, args.vmm, args.guest_features, boot)
        values.append(
            LaunchValue(
                "snp.measurement",
                launch_digest(launch),
                "image" if boot else "firmware",
                _meaning(args, count),
                f"{count} vCPU" + ("s" if count > 1 else ""),
            )
        )
    values += _id_values(args, values)
    return Measured("snp", tuple(values), inputs.origin(tool), _LIMITS)


def _meaning(args: argparse.Namespace, count: int) -> str:
    machine = f"firmware and {count} {args.vmm.upper()} vCPU state" + ("s" if count > 1 else "")
    if args.kernel is not None:
        return f"{machine}, kernel, initrd and command line; not what the kernel mounts"
    return f"{machine}; whatever operating system that firmware finds on a disk is not measured"


# -- ID block ---------------------------------------------------------------------------------------


def _id_values(args: argparse.Namespace, digests: list[LaunchValue]) -> list[LaunchValue]:
    """The key digests that reports carry; writes block and signatures where asked."""
    from attest.measure import LaunchValue, key_digest
    from attest.measure.id_block import PrivateKey, read_key

    if args.id_key is None:
        for option in (
            "author_key",
            "family_id",
            "image_id",
            "guest_svn",
            "guest_policy",
            "id_block",
            "id_auth",
        ):
            if getattr(args, option) is not None:
                raise Wrong(f"--{option.replace('_', '-')} goes with --id-key")
        return []
    keys = {
        option: read_key(Inputs().read("key", getattr(args, option), 1 << 16), where=getattr(args, option))
        for option in ("id_key", "author_key")
        if getattr(args, option) is not None
    }
    public = {
        option: key.public_key() if isinstance(key, PrivateKey) else key for option, key in keys.items()
    }
    if args.id_block is not None or args.id_auth is not None:
        _write_block(args, digests, keys)
    found = [
        LaunchValue(
            "snp.id-key",
            key_digest(public["id_key"]),
            None,
            "any launch that the holder of this key approved; with guest-svn at-least it can stand for an image",
        )
    ]
    if "author_key" in public:
        means = "any ID key that the holder of this key approved"
        found.append(LaunchValue("snp.author-key", key_digest(public["author_key"]), None, means))
    return found


def _write_block(args: argparse.Namespace, digests: list[LaunchValue], keys: dict[str, Any]) -> None:
    from attest.measure import IdBlock
    from attest.measure.id_block import DEFAULT_POLICY, PrivateKey

    if args.id_block is None or args.id_auth is None:
        raise Wrong("--id-block and --id-auth belong together: one is nothing without the other")
    if len(digests) != 1:
        raise Wrong("an ID block is for one launch digest: give one number of --vcpus")
    for option, key in keys.items():
        if not isinstance(key, PrivateKey):
            raise Wrong(f"--{option.replace('_', '-')} holds a public key, which signs nothing")
    block = IdBlock(
        digests[0].value,
        args.family_id or bytes(16),
        args.image_id or bytes(16),
        args.guest_svn or 0,
        DEFAULT_POLICY if args.guest_policy is None else args.guest_policy,
    )
    signed = block.sign(keys["id_key"], keys.get("author_key"))
    for option, file, data in (
        ("--id-block", args.id_block, signed.block),
        ("--id-auth", args.id_auth, signed.auth),
    ):
        write_file(option, file, base64.b64encode(data))
