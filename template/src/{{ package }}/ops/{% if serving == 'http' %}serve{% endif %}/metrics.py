"""What Prometheus reads: requests by route and status, how long they took, and which day is served."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from .current import Current

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The numbers of one service."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter("http_requests", "Requests", ("route", "status"), registry=self.registry)
        self._seconds = Histogram(
            "http_request_seconds", "How long they took", ("route",), buckets=BUCKETS, registry=self.registry
        )
        self._day = Gauge("results_day_seconds", "The day that is served, since 1970", registry=self.registry)
        self._model = Gauge("model_loaded", "Whether there is a model to predict with", registry=self.registry)

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        day = self._current.day
        self._day.set(datetime.fromisoformat(day.date).replace(tzinfo=UTC).timestamp() if day else 0)
        self._model.set(self._current.loaded is not None)
        return generate_latest(self.registry)
