"""Records and prescriptions are asked for in the same ways; what differs is told by a `Collection`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import BaseModel
from quart import Blueprint, Response

from gateway.http import problems as kinds
from gateway.http.links import location
from gateway.http.operations import Asked, Operation, add
from gateway.http.parameters import DEFAULT_LIMIT, PAGE_QUERY
from gateway.http.problems import FieldError, Problem, invalid
from gateway.schemas import Body
from mesh.clock import Clock
from mesh.errors import RemoteError
from mesh.status import Status


class Client(Protocol):
    """What the routes of a collection call."""

    async def page(self, asked: Asked, patient_id: int, limit: int, cursor: str) -> Any: ...
    async def read(self, asked: Asked, number: int, patient_id: int, /) -> Any: ...
    async def create(self, asked: Asked, body: Any) -> Any: ...
    async def replace(self, asked: Asked, number: int, body: Any, /) -> Any: ...
    async def delete(self, asked: Asked, number: int, patient_id: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Collection:
    """What makes records records and prescriptions prescriptions.

    Attributes:
        noun: "record" or "prescription".
        new, replacement, item, page: the schemas of its bodies and answers.
        client: calls the service.
    """

    noun: str
    new: type[Body]
    replacement: type[Body]
    item: type[BaseModel]
    page: type[BaseModel]
    client: Client

    @property
    def plural(self) -> str:
        return f"{self.noun}s"

    @property
    def id(self) -> str:
        return f"{self.noun}_id"

    @property
    def both(self) -> Mapping[str, str]:
        """The variables of the unambiguous path."""
        return {"patient_id": "patient_id", self.id: self.id}

    @property
    def title(self) -> str:
        return self.plural.title()


def blueprint(of: Collection, clock: Clock) -> Blueprint:
    """The routes of a collection: each thing by its own id, and by its patient's and its own."""
    made, routes = Blueprint(of.plural, __name__), _Routes(of)
    short, long = f"/{of.plural}", f"/patients/<patient_id>/{of.plural}"
    for verb, rule, handler, operation in (
        ("POST", short, routes.create, _creation(of)),
        ("GET", f"{short}/<id>", routes.page, _listing(of, f"list_{of.plural}", "id")),
        ("PUT", f"{short}/<id>", routes.replace, _replacement(of, f"replace_{of.noun}", {"id": of.id})),
        ("DELETE", f"{short}/<id>", routes.delete, _deletion(of, f"delete_{of.noun}", {"id": of.id})),
        ("GET", long, routes.page, _listing(of, f"list_patient_{of.plural}", "patient_id")),
        ("GET", f"{long}/<{of.id}>", routes.read, _reading(of)),
        ("PUT", f"{long}/<{of.id}>", routes.replace, _replacement(of, f"replace_patient_{of.noun}", of.both)),
        ("DELETE", f"{long}/<{of.id}>", routes.delete, _deletion(of, f"delete_patient_{of.noun}", of.both)),
    ):
        add(made, clock, verb, rule, operation, handler)
    return made


def _listing(of: Collection, name: str, variable: str) -> Operation:
    return Operation(
        name=name,
        tag=of.title,
        summary=f"A patient's {of.plural}, newest first",
        description=f"A page of them. A patient without {of.plural} has an empty list.",
        ids={variable: "patient_id"},
        query=PAGE_QUERY,
        answer=of.page,
    )


def _creation(of: Collection) -> Operation:
    return Operation(
        name=f"create_{of.noun}",
        tag=of.title,
        summary=f"Write a new {of.noun}",
        description="`Location` names it. With a `source_id` of your own it is never written twice.",
        body=of.new,
        answer=of.item,
        success=201,
        write=True,
        failures=(kinds.EXISTS,),
        links=_links(of),
    )


def _reading(of: Collection) -> Operation:
    return Operation(
        name=f"read_{of.noun}",
        tag=of.title,
        summary=f"One {of.noun}",
        description=f"Another patient's {of.noun} is 404.",
        ids=of.both,
        answer=of.item,
    )


def _replacement(of: Collection, name: str, ids: Mapping[str, str]) -> Operation:
    return Operation(
        name=name,
        tag=of.title,
        summary=f"Replace a {of.noun}",
        description="Replaces every field that a client writes. It never creates, and never changes the patient.",
        ids=ids,
        body=of.replacement,
        answer=of.item,
        write=True,
    )


def _deletion(of: Collection, name: str, ids: Mapping[str, str]) -> Operation:
    return Operation(
        name=name,
        tag=of.title,
        summary=f"Delete a {of.noun}",
        description="Afterwards it is 410.",
        ids=ids,
        success=204,
        write=True,
    )


def _links(of: Collection) -> dict[str, Any]:
    """From what was just written to what can be done with it."""
    both = {name: f"$response.body#/{name}" for name in of.both}
    return {
        "read": {"operationId": f"read_{of.noun}", "parameters": both},
        "replace": {"operationId": f"replace_patient_{of.noun}", "parameters": both},
        "delete": {"operationId": f"delete_patient_{of.noun}", "parameters": both},
        "list": {"operationId": f"list_patient_{of.plural}", "parameters": {"patient_id": both["patient_id"]}},
    }


class _Routes:
    """The handlers. `patient_id` is 0 where a path names none: any patient's."""

    def __init__(self, of: Collection) -> None:
        self._of, self._client = of, of.client

    async def page(self, asked: Asked) -> Response:
        patient_id = asked.ids["patient_id"]
        limit, cursor = asked.query.get("limit", DEFAULT_LIMIT), asked.query.get("cursor", "")
        page = await self._client.page(asked, patient_id, limit, cursor)
        return _json({"patient_id": patient_id, self._of.plural: page.items, "next_cursor": page.next_cursor})

    async def read(self, asked: Asked) -> Response:
        return _json(await self._client.read(asked, asked.ids[self._of.id], asked.ids["patient_id"]))

    async def create(self, asked: Asked) -> Response:
        made = await self._client.create(asked, asked.body)
        place = location(self._of.noun, made.patient_id, getattr(made, self._of.id))
        return _json(made, 201, {"Location": place})

    async def replace(self, asked: Asked) -> Response:
        self._check_same(asked)
        try:
            made = await self._client.replace(asked, asked.ids[self._of.id], asked.body)
        except RemoteError as error:
            if "patient_id" in asked.ids and _other_patient(error):
                raise Problem(kinds.NOT_FOUND) from None
            raise
        return _json(made)

    async def delete(self, asked: Asked) -> Response:
        await self._client.delete(asked, asked.ids[self._of.id], asked.ids.get("patient_id", 0))
        return Response(b"", 204)

    def _check_same(self, asked: Asked) -> None:
        """A body may repeat the path's ids, not contradict them."""
        named = ((name, getattr(asked.body, name)) for name in asked.ids)
        wrong = [name for name, number in named if number is not None and number != asked.ids[name]]
        if wrong:
            raise invalid(*(FieldError(name, "must be the same as in the path") for name in wrong))


def _other_patient(error: RemoteError) -> bool:
    """Under a patient's own path, path and body agree, so a service that refuses the patient has another's."""
    return error.status is Status.INVALID_ARGUMENT and any(found.field == "patient_id" for found in error.violations)


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The bytes of it: orjson writes messages as they are: every field, by its name in the `.proto`."""
    kept = {"Cache-Control": "private, no-cache", **(headers or {})}
    return Response(orjson.dumps(value), status, kept, content_type="application/json")
