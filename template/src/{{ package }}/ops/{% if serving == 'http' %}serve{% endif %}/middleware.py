"""What each request passes first: the token, the path as it was sent, and the clock."""

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import SecretStr

from ..code_errors import summary
from .answers import refusal
from .metrics import Metrics

OPEN = ("/health", "/ready")  # which those ask who have no token: an engine, a cluster

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
log = structlog.get_logger()


class Middleware:
    """ASGI around the application."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        token: SecretStr,
        metrics: Metrics,
        routes: Mapping[Any, str],
    ) -> None:
        """Stand before an application.

        Args:
            app: the application.
            token: what each request has to bring; empty for nothing.
            metrics: where requests are counted.
            routes: what the route of each endpoint is called there.
        """
        self._app, self._metrics, self._routes = app, metrics, routes
        told = token.get_secret_value()
        self._expected = f"Bearer {told}".encode() if told else b""
        self.draining = False  # a client is asked to connect anew, to the service that takes over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        # As it was sent, so that a key may hold a slash: %2F is none that divides the path.
        scope["path"] = scope["raw_path"].decode("ascii", "replace")
        try:
            if self._expected and scope["path"] not in OPEN and not self._knows(scope):
                await refusal(401, "a token is needed: Authorization: Bearer TOKEN")(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except Exception as error:
            log.error("request", path=scope["path"], problem=summary(error))
            if status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise  # no answer, or half of one, is sent, and the connection is to end
        finally:
            self._metrics.note(self._routes.get(scope.get("endpoint"), "other"), status, time.perf_counter() - start)

    def _knows(self, scope: Scope) -> bool:
        """Whether the request has the token, in a time that does not tell how much of it is right."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(scheme.title() + b" " + token.strip(), self._expected)
