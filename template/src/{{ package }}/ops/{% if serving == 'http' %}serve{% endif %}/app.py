"""The application: FastAPI where types give the schemas, and plain routes for tables, as the database gives theirs."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route

from .. import published
from ..problems import Problem
from ..published import Table
from ..settings import StageSettings
from . import paging, prediction, schemas
from .answers import ProblemDetails, Refusal, described, refusal
from .current import Current, unusable
from .metrics import Metrics
from .middleware import Middleware
from .reading import Busy, Day, NoKey, Reader

THREADS = 8  # that read, each on a connection of its own
TITLE = "the results of {name}"


class State(BaseModel):
    """How the service is."""

    status: str


class Application:
    """All that serves a stage."""

    def __init__(self, settings: StageSettings) -> None:
        """Make it, and look at what there is to serve.

        Args:
            settings: those of the stage.

        Raises:
            Problem: pipeline.py declares no table, service.py is not as it has to be, or the database cannot be read.
        """
        self.tables = {table.name: table for table in published.declared()}
        if not self.tables:
            raise Problem("pipeline.py declares no table in TABLES: there is nothing to serve")
        self.reader = Reader(settings.database.url, settings.stage, list(self.tables))
        self.service = prediction.own()
        self.current = Current(self.reader, settings, self.service)
        self.current.begin()
        self._threads = ThreadPoolExecutor(THREADS, "read")
        self._token = bool(settings.serving.token.get_secret_value())
        self.metrics = Metrics(self.current)
        self._api = self._made()
        routes = {route.endpoint: route.path for route in self._api.routes if isinstance(route, Route)}
        self.middleware = Middleware(self._api, settings.serving.token, self.metrics, routes)

    def base(self, table: str) -> str:
        """The path of a table's rows: where there are several, each under its name."""
        return "/results" if len(self.tables) == 1 else f"/results/{table}"

    def _made(self) -> FastAPI:
        api = FastAPI(lifespan=self._lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
        api.add_exception_handler(Refusal, _refused)
        api.add_exception_handler(HTTPException, _refused_by_status)
        api.add_exception_handler(RequestValidationError, _refused_as_invalid)
        api.add_exception_handler(Exception, _failed)
        api.add_api_route("/health", self._health, summary="Whether the service is alive")
        api.add_api_route("/ready", self._ready, summary="Whether there are results", responses=described(503))
        api.add_route("/metrics", self._metrics, include_in_schema=False)
        api.add_route("/openapi.json", self._openapi, include_in_schema=False)
        for table in self.tables.values():
            base, places = quote(self.base(table.name)), "/".join(f"{{{place}}}" for place in _places(table))
            api.add_route(base, self._page_of(table))
            api.add_route(f"{base}/{places}", self._row_of(table))
        if self.service:
            api.add_api_route(
                "/predict",
                self._predict(self.service),
                methods=["POST"],
                summary="What the model says of a key that no run has seen",
                response_model=self.service.response,
                responses=described(422, 503),
            )
        return api

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.reader.hurry()  # in this thread, which all requests share
        watch = threading.Thread(target=self.current.watch, daemon=True)
        watch.start()
        yield
        self.current.stop()
        watch.join(1)
        self._threads.shutdown()
        self.reader.close()

    async def _health(self) -> State:
        return State(status="alive")

    async def _ready(self) -> State:
        if self.middleware.draining:
            raise Refusal(503, "the service is being ended")
        if self.current.day is None:
            raise Refusal(503, "no results yet")
        return State(status="ready")

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, request: Request) -> Response:
        return _answer(request, json.dumps(self.openapi()).encode(), None)

    def openapi(self) -> dict[str, Any]:
        """What the service answers, with the tables' columns as the database has them at this moment."""
        project = published.__name__.partition(".")[0]
        told = get_openapi(title=TITLE.format(name=project), version="1", routes=self._api.routes)
        known = told.setdefault("components", {}).setdefault("schemas", {})
        known["ProblemDetails"] = ProblemDetails.model_json_schema()
        for name, table in self.tables.items():
            found = self.reader.tables.get(name)
            known[name] = schemas.row_schema(table, found)
            told["paths"] |= schemas.paths(self.base(name), table, found)
        if self._token:
            told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, methods in told["paths"].items():
                for about in methods.values() if path not in ("/health", "/ready") else ():
                    about["security"] = [{"token": []}]
                    about["responses"] |= described(401)
        return told

    def _row_of(self, table: Table) -> Callable[[Request], Any]:
        async def row(request: Request) -> Response:
            key = [_unquoted(request.path_params[at]) for at in _places(table)]
            self._need(table.name)
            found = await self._read(self.reader.row, table.name, key, quick=self.reader.is_quick)
            if found is None:
                if await self._read(self.reader.newest) is None:
                    raise Refusal(503, "no results yet")
                told = " ".join(f"{column}={value}" for column, value in zip(table.key, key, strict=True))
                raise Refusal(404, f"{table.name}: no row with {told}")
            day, values = found
            return _answer(request, _json(values), day)

        return row

    def _page_of(self, table: Table) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            limit, cursor, such = _asked(request, table)
            self._need(table.name)
            day, after = (cursor.day, cursor.after) if cursor else (None, [])
            found = await self._read(self.reader.page, table.name, limit, such, day, after)
            if found is None:
                if cursor:
                    raise Refusal(410, "these rows are gone, as their day was written again: begin without a cursor")
                raise Refusal(503, "no results yet")
            following = str(paging.Cursor(found.day, such, found.last)) if found.last else None
            return _answer(request, _json({"rows": found.rows, "next": following}), found.day)

        return page

    def _predict(self, service: prediction.Service) -> Callable[..., Any]:
        def predict(request: Any, response: Response) -> Any:
            loaded = self.current.loaded
            if loaded is None:
                raise Refusal(503, self.current.why)
            try:
                answer = service.predict(loaded.model, request)
            except Problem as problem:
                raise Refusal(422, str(problem)) from None
            response.headers.update(_headers(loaded.day) | {"X-Model-Run": _ascii(loaded.model_run)})
            return answer

        predict.__annotations__ |= {"request": service.request, "response": Response}
        return predict

    def _need(self, table: str) -> None:
        """Refuse where there is no such table yet."""
        if table not in self.reader.tables:
            raise Refusal(503, "no results yet")

    async def _read(self, read: Callable[..., Any], *arguments: Any, quick: bool = False) -> Any:
        """Call something of the reader's, in one of its threads or, if it is quick and nobody writes, at once."""
        try:
            if quick:
                with suppress(Busy):
                    return read(*arguments)
            return await asyncio.get_running_loop().run_in_executor(self._threads, read, *arguments)
        except NoKey as problem:
            raise Refusal(422, str(problem)) from None
        except Problem as problem:
            raise Refusal(503, unusable(problem)) from None


def _asked(request: Request, table: Table) -> tuple[int, paging.Cursor | None, dict[str, str]]:
    """What a request for a page asks for: how many rows, from where on, and which.

    Raises:
        Refusal: it asks for something else.
    """
    given = request.query_params.multi_items()
    asked = dict(given)
    if len(asked) < len(given):
        raise Refusal(422, "each parameter is given once")
    if unknown := [name for name in asked if name not in ("limit", "cursor", *table.key)]:
        raise Refusal(422, f"no parameter {unknown[0]!r}; there are limit, cursor, {', '.join(table.key)}")
    text, limit = asked.pop("limit", str(schemas.LIMIT)), 0
    if text.isascii() and text.isdigit() and len(text) <= len(str(schemas.MOST)):
        limit = int(text)
    if not 1 <= limit <= schemas.MOST:
        raise Refusal(422, f"limit: {text!r} is no whole number from 1 to {schemas.MOST}")
    cursor = None
    if (told := asked.pop("cursor", None)) is not None:
        try:
            cursor = paging.read(told, table.key)
        except (ValueError, TypeError):
            raise Refusal(422, "cursor: not one that a page of this table has given as `next`") from None
    such = {column: asked[column] for column in table.key if column in asked}
    if list(such) != list(table.key[: len(such)]):
        raise Refusal(422, f"{table.key[0]} has to be given, too: rows are found by the first columns of their key")
    if cursor and such and such != cursor.such:
        raise Refusal(422, "cursor: it belongs to a request with another key")
    return limit, cursor, cursor.such if cursor else such


def _answer(request: Request, body: bytes, day: Day | None) -> Response:
    """An answer that the client need not be sent again, if it has it."""
    etag = f'"{blake2b(body + str(day).encode(), digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"} | (_headers(day) if day else {})
    known = request.headers.get("if-none-match", "")
    if known and (known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _headers(day: Day) -> dict[str, str]:
    return dict(zip(schemas.HEADERS, map(_ascii, day), strict=True))


def _ascii(text: str) -> str:
    """A header's value: other letters, which a run's id may have, as a URL has them."""
    return text if text.isascii() else quote(text)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _places(table: Table) -> Sequence[str]:
    """What the parts of a key are called in a route, as a column's name may have other letters."""
    return [f"key_{number}" for number in range(len(table.key))]


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(422, f"{text!r} is no UTF-8") from None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal(error.status, str(error))


async def _refused_by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = 422 if error.status_code == 400 else error.status_code  # as of a body that is no text
    nothing = f"nothing is at {request.url.path}: /openapi.json lists what there is"
    answer = refusal(status, nothing if status == 404 else error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def _refused_as_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = (f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors())
    return refusal(422, "; ".join(wrong))


async def _failed(_: Request, __: Exception) -> Response:
    """A bug, of which the client is told nothing more; the middleware logs it."""
    return refusal(500, "the service has failed; its log says how")
