"""What no broker can do without for one release: the handshake's own cryptography, three durable commits, three requests."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from benchmarks.kbs_cluster import Cluster

_ROUNDS = 200


def handshake() -> float:
    """Processor milliseconds: the signatures of one SNP report and one GPU report under chains that are known, a token
    signed, a key agreed with the guest, and the session and the secret sealed and opened."""
    hardware = ec.generate_private_key(ec.SECP384R1())
    tokens, guest = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
    )
    report, nonce = os.urandom(1184), os.urandom(12)
    signature = hardware.sign(report, ec.ECDSA(hashes.SHA384()))
    public, sealed = hardware.public_key(), AESGCM(os.urandom(32))
    body = sealed.encrypt(nonce, os.urandom(4096), b"")
    small = sealed.encrypt(nonce, os.urandom(32), b"")

    def once() -> None:
        for _ in range(2):
            public.verify(signature, report, ec.ECDSA(hashes.SHA384()))
        tokens.sign(report, ec.ECDSA(hashes.SHA256()))
        shared = ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), guest)
        kek = ConcatKDFHash(algorithm=hashes.SHA256(), length=32, otherinfo=b"").derive(shared)
        aes_key_wrap(kek, os.urandom(32))
        sealed.encrypt(nonce, sealed.decrypt(nonce, body, b""), b"")
        for _ in range(3):
            sealed.decrypt(nonce, small, b"")

    return _milliseconds(once, time.process_time)


def commits(cluster: Cluster) -> float:
    """Milliseconds of three bare durable commits, one after another, on the same disk: the whole time, for the thread
    that commits does nothing else."""
    if cluster.postgres is None:
        connection = sqlite3.connect(Path(cluster.folder) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE bare (n INTEGER)")

        def once() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bare VALUES (1)")
            connection.execute("COMMIT")

        return 3 * _milliseconds(once, time.perf_counter)
    made = cluster.postgres.make()
    with psycopg.connect(host=made.host, user="kbs", dbname=made.database, autocommit=True) as server:
        server.execute("CREATE TABLE bare (n INTEGER)")

        def insert() -> None:
            with server.transaction():
                server.execute("INSERT INTO bare VALUES (1)")

        return 3 * _milliseconds(insert, time.perf_counter)


def requests(cluster: Cluster) -> float:
    """Processor milliseconds of three requests that do nothing, in the same server."""
    worker = cluster.workers[0]
    with httpx.Client(base_url=worker.url, trust_env=False) as http:
        http.get("/healthz").raise_for_status()
        before = worker.processor_seconds()
        for _ in range(3 * _ROUNDS):
            http.get("/healthz").raise_for_status()
        return (worker.processor_seconds() - before) / _ROUNDS * 1000


def _milliseconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    for _ in range(5):
        call()
    started = clock()
    for _ in range(_ROUNDS):
        call()
    return (clock() - started) / _ROUNDS * 1000
