"""What the service answers where there is no row to give: problem details, as RFC 9457 has them."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

PROBLEM = "application/problem+json"
RETRY = "5"  # seconds, after which a client may ask again


class ProblemDetails(BaseModel):
    """Why a request was not answered."""

    type: str = "about:blank"
    title: str = Field(description="what the status stands for")
    status: int
    detail: str = Field(description="what is wrong with this request")


class Refusal(Exception):
    """A request that is not answered; its text is shown to the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def refusal(status: int, detail: str) -> JSONResponse:
    """The answer to a request that is refused."""
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY
    elif status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    details = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(details.model_dump(), status, headers, media_type=PROBLEM)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for OpenAPI: the answers with these statuses."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": {PROBLEM: {"schema": schema}}}
        for status in statuses
    }
