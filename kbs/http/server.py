"""What the server itself answers, before any of our code is asked: in the one shape as well."""

from __future__ import annotations

import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from kbs.refusals import Refusal


class ReadableProtocol(H11Protocol):
    """HTTP/1.1 by h11, which bounds the size of a request's head. What is no HTTP gets a body that guests
    can read, where uvicorn would send plain text."""

    def send_400_response(self, msg: str) -> None:
        body = json.dumps(Refusal(400, "InvalidRequest", "this is not HTTP that can be read").body()).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        events = (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
