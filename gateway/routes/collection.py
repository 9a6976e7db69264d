"""The routes of records and prescriptions: they are asked for in the same ways."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import orjson
from quart import Blueprint, Response

from gateway.http import problems as kinds
from gateway.http.conditions import expected_versions, tag_of_bytes, tag_of_version
from gateway.http.links import location
from gateway.http.operations import Asked, add
from gateway.http.problems import FieldError, Problem, invalid
from gateway.routes import described
from gateway.routes.described import Collection
from mesh.clock import Clock
from mesh.errors import RemoteError
from mesh.status import Status

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PRIVATE = "private, no-cache"


def blueprint(of: Collection, clock: Clock) -> Blueprint:
    """The routes of a collection: each thing by its own id, and by its patient's and its own."""
    made, routes = Blueprint(of.plural, __name__), _Routes(of)
    short, long = f"/{of.plural}", f"/patients/<patient_id>/{of.plural}"
    for verb, rule, handler, operation in (
        ("POST", short, routes.create, described.creation(of)),
        ("GET", f"{short}/<id>", routes.page, described.listing(of, f"list_{of.plural}", "id")),
        ("PUT", f"{short}/<id>", routes.replace, described.replacement(of, f"replace_{of.noun}", {"id": of.id})),
        ("DELETE", f"{short}/<id>", routes.delete, described.deletion(of, f"delete_{of.noun}", {"id": of.id})),
        ("GET", long, routes.page, described.listing(of, f"list_patient_{of.plural}", "patient_id")),
        ("GET", f"{long}/<{of.id}>", routes.read, described.reading(of)),
        ("GET", f"{long}/<{of.id}>/history", routes.history, described.history(of)),
        ("PUT", f"{long}/<{of.id}>", routes.replace, described.replacement(of, f"replace_patient_{of.noun}", of.both)),
        ("DELETE", f"{long}/<{of.id}>", routes.delete, described.deletion(of, f"delete_patient_{of.noun}", of.both)),
    ):
        add(made, clock, verb, rule, operation, handler)
    return made


class _Routes:
    """The handlers. `patient_id` is 0 where a path names none: any patient's."""

    def __init__(self, of: Collection) -> None:
        self._of, self._client = of, of.client

    async def page(self, asked: Asked) -> Response:
        patient_id = asked.ids["patient_id"]
        page = await self._client.page(asked, patient_id)
        return paged(asked, {"patient_id": patient_id, self._of.plural: page.items, "next_cursor": page.next_cursor})

    async def history(self, asked: Asked) -> Response:
        number, patient_id = asked.ids[self._of.id], asked.ids["patient_id"]
        page = await self._client.history(asked, number, patient_id)
        ids = {self._of.id: number, "patient_id": patient_id}
        return paged(asked, {**ids, "versions": page.items, "next_cursor": page.next_cursor})

    async def read(self, asked: Asked) -> Response:
        found = await self._client.read(asked, asked.ids[self._of.id], asked.ids["patient_id"])
        return _unless_known(asked, self._tag(found), lambda: orjson.dumps(found))

    async def create(self, asked: Asked) -> Response:
        made = await self._client.create(asked, asked.body)
        place = location(self._of.noun, made.patient_id, getattr(made, self._of.id))
        return _json(orjson.dumps(made), self._tag(made), 201, {"Location": place})

    async def replace(self, asked: Asked) -> Response:
        self._check_same(asked)
        number = asked.ids[self._of.id]
        try:
            made = await _expecting(asked, number, partial(self._client.replace, asked, number, asked.body))
        except RemoteError as error:
            if "patient_id" in asked.ids and _other_patient(error):
                raise Problem(kinds.NOT_FOUND) from None
            raise
        return _json(orjson.dumps(made), self._tag(made))

    async def delete(self, asked: Asked) -> Response:
        number, patient_id = asked.ids[self._of.id], asked.ids.get("patient_id", 0)
        await _expecting(asked, number, partial(self._client.delete, asked, number, patient_id))
        return _empty(204)

    def _tag(self, found: Any) -> str:
        return tag_of_version(getattr(found, self._of.id), found.version)

    def _check_same(self, asked: Asked) -> None:
        """A body may repeat the path's ids, not contradict them."""
        named = ((name, getattr(asked.body, name)) for name in asked.ids)
        wrong = [name for name, number in named if number and number != asked.ids[name]]
        if wrong:
            raise invalid(*(FieldError(name, "must be the same as in the path") for name in wrong))


async def _expecting(asked: Asked, number: int, write: Callable[[int], Awaitable[Any]]) -> Any:
    """Writes if the stored version is one that `If-Match` names, and only the service can say which that is.

    It is asked for one version after the other, oldest first, as versions grow. Reading first and sending the one that
    fits would send another on a repetition, and to the service that is another request under the same key.
    """
    *others, last = expected_versions(asked.condition, number)
    for version in others:
        try:
            return await write(version)
        except RemoteError as error:
            if error.maybe_done or error.code not in ("VERSION_MISMATCH", "KEY_REUSED"):
                raise
    return await write(last)


def _other_patient(error: RemoteError) -> bool:
    """Under a patient's own path, path and body agree, so a service that refuses the patient has another's."""
    return error.status is Status.INVALID_ARGUMENT and any(found.field == "patient_id" for found in error.violations)


def paged(asked: Asked, value: Any) -> Response:
    """A page, or 304. orjson writes its messages as they are: every field, by its name in the `.proto`."""
    body = orjson.dumps(value)
    return _unless_known(asked, tag_of_bytes(body), lambda: body)


def _unless_known(asked: Asked, tag: str, body: Callable[[], bytes]) -> Response:
    """The answer of a read, or 304 to a client that has it already."""
    if asked.condition is None or not asked.condition.names(tag):
        return _json(body(), tag)
    return _empty(304, {"Cache-Control": PRIVATE, "ETag": tag})


def _json(body: bytes, tag: str, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    kept = {"Cache-Control": PRIVATE, "ETag": tag, **headers}
    return Response(body, status, kept, content_type="application/json")


def _empty(status: int, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Without the framework's own type and length: a 204 has none, and a 304's would be another answer's.

    Source: RFC 9110, 8.6.
    """
    response = Response(b"", status, dict(headers))
    del response.headers["Content-Type"], response.headers["Content-Length"]
    return response
