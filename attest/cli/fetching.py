"""--fetch and its companions, for every command that asks the vendors' services."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from attest.anchors import Anchors
from attest.cli.progress import say
from attest.errors import Malformed, Problem
from attest.problems import problem
from attest.untrusted import escape

if TYPE_CHECKING:
    from datetime import datetime

    from attest.endorsements import Endorsements
    from attest.evidence import Evidence
    from attest.memory import Memory
    from attest.sources.fetch_for import Fetched
    from attest.sources.memory_file import MemoryFile
    from attest.sources.sources import Sources

_HOW_TO_FETCH = ("pccs", "early", "azure_host", "renew")

ENVIRONMENT = """\
environment:
  ATTEST_CACHE       folder of the cache and the memory; default ~/.cache/attest
  ATTEST_PCCS_URL    a PCCS to ask in place of Intel's service
  ATTEST_KDS_URL, ATTEST_PCS_URL, ATTEST_PCS_ROOT_CRL_URL, ATTEST_RIM_URL, ATTEST_OCSP_URL, ATTEST_THIM_URL
                     other addresses of AMD's, Intel's, NVIDIA's and Azure's services
  ATTEST_PROXY       an HTTP proxy for them; no other variable is read
  ATTEST_CA_FILE     more certificates (PEM) to check the services' TLS with, for a PCCS of your own
  ATTEST_NVIDIA_KEY  a service key for NVIDIA's services, where you have one"""


def add_service_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Which services, and where what they say is kept."""
    parser.add_argument(
        "--cache", metavar="DIR", help="where answers are kept; default ATTEST_CACHE or ~/.cache/attest"
    )
    parser.add_argument("--pccs", metavar="URL", help="ask this PCCS in place of Intel's service")
    parser.add_argument(
        "--early", action="store_true",
        help="ask Intel for collateral as soon as it is published, months before platforms must meet it",
    )  # fmt: skip
    parser.add_argument(
        "--azure-host",
        action="store_true",
        help="on an Azure machine: ask its host for the VCEK before AMD",
    )
    parser.add_argument("--renew", action="store_true", help="ask again, whatever the cache holds")


def add_fetch_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fetching and memory")
    group.add_argument(
        "--fetch", action="store_true",
        help="ask AMD, Intel and NVIDIA for what the evidence needs and the cache lacks",
    )  # fmt: skip
    add_service_arguments(group)
    group.add_argument(
        "--memory", metavar="FILE",
        help="newest collateral seen so far; refuses older and is updated. With --fetch: default in the cache",
    )  # fmt: skip


def sources_of(args: argparse.Namespace, anchors: Anchors) -> Sources:
    """Raises Malformed (`usage`) for a bad address, FetchFailed for a bad cache folder."""
    if find_spec("httpx") is None:
        raise Malformed(problem("usage", message="Fetching needs httpx: pip install 'attest[sources]'"))
    from attest.sources.hosts import Hosts
    from attest.sources.sources import Sources

    hosts = Hosts.from_environment(pccs=args.pccs)
    sources = Sources.open(
        cache_folder(args),
        hosts=hosts,
        anchors=anchors,
        early=args.early,
        renew=args.renew,
        azure_host=args.azure_host,
        service_key=service_key(),
    )
    sources.client.proxy = os.environ.get("ATTEST_PROXY") or None
    sources.client.ca_file = os.environ.get("ATTEST_CA_FILE") or None
    sources.client.tell = tell
    return sources


def service_key() -> str | None:
    """The key for NVIDIA's services; files that keys are kept in end with a line break."""
    return os.environ.get("ATTEST_NVIDIA_KEY", "").strip() or None


def cache_folder(args: argparse.Namespace) -> Path:
    from attest.sources.cache import default_folder

    return Path(args.cache) if args.cache else default_folder()


def tell(line: str) -> None:
    say(f"· {line}")


def check_fetch_arguments(args: argparse.Namespace) -> None:
    """Raises Malformed (`usage`) for an option that says how to fetch where nothing is fetched."""
    given = [name for name in _HOW_TO_FETCH if getattr(args, name)]
    if given and not args.fetch:
        option = "--" + given[0].replace("_", "-")
        raise Malformed(
            problem("usage", message=f"{option} goes only with --fetch: without it nobody is asked")
        )


def memory_file(args: argparse.Namespace, anchors: Anchors) -> MemoryFile | None:
    """The memory to use: the one named, with --fetch the cache's, else none."""
    if args.memory is None and not args.fetch:
        return None
    from attest.sources.memory_file import MemoryFile

    if args.memory is not None:
        file = MemoryFile(Path(args.memory).absolute(), simulated=anchors.simulated)
        if file.new:
            tell(
                f"--memory {escape(args.memory)}: the memory starts empty there, nothing older is refused yet; if this "
                "is not its first use, the name is wrong"
            )
        return file
    name = "memory-simulated.json" if anchors.simulated else "memory.json"
    return MemoryFile(cache_folder(args) / name, simulated=anchors.simulated, ours=True)


class Fetching:
    """What one command fetched for its evidence. problems: what could not be had."""

    def __init__(self, args: argparse.Namespace, anchors: Anchors, at: datetime) -> None:
        self._sources = sources_of(args, anchors)
        self._anchors = anchors
        self._at = at
        self.fetched: Fetched | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.fetched.problems if self.fetched is not None else ()

    def add(self, evidence: Evidence, endorsements: Endorsements) -> Endorsements:
        """The endorsements, and what was fetched beside them."""
        from attest.sources.fetch_for import fetch_for

        self.fetched = fetch_for(evidence, self._sources, have=endorsements)
        return endorsements + self.fetched.endorsements

    def raise_minimum(self, memory: Memory) -> Memory:
        """Intel's own current evaluation number is the least to accept from anybody (T-MEMORY)."""
        number = None if self.fetched is None else self.fetched.own_evaluation(self._anchors, self._at)
        return memory if number is None else memory.raised(number)

    def newer_manifests(self) -> Endorsements:
        """Kept manifests, asked for again: NVIDIA re-issues them under the same id with other values."""
        from attest.sources.fetch_for import again

        return again(self.fetched, self._sources) if self.fetched is not None else _nothing()


def _nothing() -> Endorsements:
    from attest.endorsements import Endorsements

    return Endorsements()
