"""The console, `/console/`: pages at the administrators' door, rendered here, without a script.

A session reads what its principal may read; each act asks for the key, or for a signed document, again. What is shown and done
goes through the routes of administration (`inside`), so that the console is no second way to decide anything.
"""

from __future__ import annotations

from datetime import timedelta

from fastapi import FastAPI

from kbs.administration import Administration
from kbs.console_sessions import ConsoleSessions
from kbs.http.console import (
    acts,
    consents,
    expiring,
    people,
    policies,
    releases,
    secrets,
    sign_in,
    start,
    stops,
    why,
)
from kbs.http.console.site import Site
from kbs.store.database import Store


def open_console(app: FastAPI, administration: Administration, store: Store, life: timedelta) -> None:
    """life: of a session."""
    sessions = ConsoleSessions(store, administration.acts, administration.sign_in, life)
    site = Site(app, administration, store, sessions)
    for room in (sign_in, start, releases, why, policies, consents, secrets, expiring, stops, people, acts):
        room.add_pages(site)
