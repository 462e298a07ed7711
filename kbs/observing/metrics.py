"""Counts and times for Prometheus. Labels are of fixed sets: a route's template, never a path that names a secret (T-CT)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kbs.observing import WHOLE, Part, Step
from kbs.observing.outcome import codes, outcome

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Gauge:
    """check: a label, for one of several of this name."""

    name: str
    about: str
    value: float
    check: str | None = None


class Metrics:
    """An observer. state: what is read anew at each scrape."""

    def __init__(self, state: Callable[[], Iterable[Gauge]] = tuple) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_State(state))
        self._requests = Counter(
            "kbs_requests",
            "Requests answered, by the route's template and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._decisions = Counter(
            "kbs_decisions",
            "What guests asked for, by how it ended: granted, or the kind of the refusal.",
            ("act", "outcome"),
            registry=self.registry,
        )
        self._problems = Counter(
            "kbs_problems",
            "Refusals of guests by problem code; one refusal may have several.",
            ("act", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "kbs_step_seconds",
            "How long challenge, attest and release took, and their parts.",
            ("step",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "kbs_failures",
            "How often the database or the key store did not serve.",
            ("part",),
            registry=self.registry,
        )
        # Rates begin at nought, so that the first failure is seen as one.
        parts: tuple[Part, ...] = ("database", "key-store")
        for part in parts:
            self._failures.labels(part)

    @contextmanager
    def step(self, name: Step) -> Iterator[None]:
        start = perf_counter()
        ended: BaseException | None = None
        try:
            yield
        except BaseException as error:
            ended = error
            raise
        finally:
            self._seconds.labels(name).observe(perf_counter() - start)
            if name in WHOLE:
                self._decisions.labels(name, outcome(ended)).inc()
                for code in codes(ended):
                    self._problems.labels(name, code).inc()

    def failed(self, part: Part) -> None:
        self._failures.labels(part).inc()

    def answered(self, method: str, route: str, status: int) -> None:
        self._requests.labels(method, route, str(status)).inc()

    def serve(self, host: str, port: int) -> Listener:
        """Until it is stopped, in a thread of its own. Raises OSError."""
        server, thread = start_http_server(port, host, self.registry)
        return _Served(server, thread)


class Listener(Protocol):
    port: int

    def stop(self) -> None: ...


class _Served:
    def __init__(self, server: Any, thread: Any) -> None:
        self._server, self._thread = server, thread
        self.port = int(server.server_port)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _State(Collector):
    """Read when somebody asks; what cannot be had then is left out."""

    def __init__(self, read: Callable[[], Iterable[Gauge]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for one in self._read():
            labels = [] if one.check is None else ["check"]
            family = families.setdefault(one.name, GaugeMetricFamily(one.name, one.about, labels=labels))
            family.add_metric([] if one.check is None else [one.check], one.value)
        yield from families.values()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """None: registering asks for no state."""
        return iter(())
