"""What records and prescriptions have in common, said once: the operations of a `Collection`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from gateway.http import problems as kinds
from gateway.http.operations import Asked, Operation
from gateway.http.parameters import PAGE_QUERY, Query
from gateway.http.problems import Kind
from gateway.schemas import Body


class Client(Protocol):
    """What the routes of a collection call."""

    async def page(self, asked: Asked, patient_id: int, /) -> Any: ...
    async def read(self, asked: Asked, number: int, patient_id: int, /) -> Any: ...
    async def history(self, asked: Asked, number: int, patient_id: int, /) -> Any: ...
    async def create(self, asked: Asked, body: Any) -> Any: ...
    async def replace(self, asked: Asked, number: int, body: Any, version: int, /) -> Any: ...
    async def delete(self, asked: Asked, number: int, patient_id: int, version: int, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What makes records records and prescriptions prescriptions.

    Attributes:
        noun: "record" or "prescription".
        new, replacement, item, page, history: the schemas of its bodies and answers.
        client: calls the service.
        match_required: a change is refused without If-Match.
        filters: of its lists.
        refusals: kinds of problem that a replacement may meet and others' do not.
        kept: what a replacement that does not name it leaves as it is, as a half sentence.
        views: further operations that both ids lead to, by the name of the link to each.
    """

    noun: str
    new: type[Body]
    replacement: type[Body]
    item: type[BaseModel]
    page: type[BaseModel]
    history: type[BaseModel]
    client: Client
    match_required: bool
    filters: tuple[Query, ...] = ()
    refusals: tuple[Kind, ...] = ()
    kept: str = ""
    views: Mapping[str, str] = field(default_factory=dict)

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


def listing(of: Collection, name: str, variable: str) -> Operation:
    """A list, by a patient."""
    return Operation(
        name=name,
        tag=of.title,
        summary=f"A patient's {of.plural}, newest first",
        description=f"A page of them. A patient without {of.plural} has an empty list.",
        ids={variable: "patient_id"},
        query=(*PAGE_QUERY, *of.filters),
        answer=of.page,
    )


def creation(of: Collection) -> Operation:
    """A POST."""
    return Operation(
        name=f"create_{of.noun}",
        tag=of.title,
        summary=f"Write a new {of.noun}",
        description="`Location` names it. With an `Idempotency-Key` or a `source_id` it is never written twice.",
        body=of.new,
        answer=of.item,
        success=201,
        write=True,
        failures=(kinds.EXISTS,),
        links=_links(of),
    )


def reading(of: Collection) -> Operation:
    """One thing."""
    return Operation(
        name=f"read_{of.noun}",
        tag=of.title,
        summary=f"One {of.noun}",
        description=f"Another patient's {of.noun} is 404.",
        ids=of.both,
        answer=of.item,
    )


def history(of: Collection) -> Operation:
    """Every version of one thing."""
    return Operation(
        name=f"read_{of.noun}_history",
        tag=of.title,
        summary=f"Every version of a {of.noun}, newest first",
        description=(
            "Each as it was, with who wrote it (`updated_by`) and when (`updated_at`). A deletion is a version, too: "
            f"its `deleted` is true. The history of a deleted {of.noun} stays."
        ),
        ids=of.both,
        query=PAGE_QUERY,
        answer=of.history,
    )


def replacement(of: Collection, name: str, ids: Mapping[str, str]) -> Operation:
    """A PUT."""
    return Operation(
        name=name,
        tag=of.title,
        summary=f"Replace a {of.noun}",
        description=(
            f"Replaces every field that a client writes{of.kept}. It never creates, and never changes the patient. "
            "`version` in the body is ignored: `If-Match` says which version is meant."
        ),
        ids=ids,
        body=of.replacement,
        answer=of.item,
        write=True,
        match_required=of.match_required,
        failures=of.refusals,
    )


def deletion(of: Collection, name: str, ids: Mapping[str, str]) -> Operation:
    """A DELETE."""
    return Operation(
        name=name,
        tag=of.title,
        summary=f"Delete a {of.noun}",
        description=(
            "Afterwards it is 410; its history stays. Repeated under its `Idempotency-Key` it is 204 again. "
            "The path with the patient and the one without make two requests: under the key of one the other is 422."
        ),
        ids=ids,
        success=204,
        write=True,
        match_required=of.match_required,
    )


def _links(of: Collection) -> dict[str, Any]:
    """From what was just written to what can be done with it."""
    both = {name: f"$response.body#/{name}" for name in of.both}
    seen = {**both, "header.If-Match": "$response.header.ETag"}
    return {
        "read": {"operationId": f"read_{of.noun}", "parameters": both},
        "history": {"operationId": f"read_{of.noun}_history", "parameters": both},
        **{name: {"operationId": operation, "parameters": both} for name, operation in of.views.items()},
        "replace": {"operationId": f"replace_patient_{of.noun}", "parameters": seen},
        "delete": {"operationId": f"delete_patient_{of.noun}", "parameters": seen},
        "list": {"operationId": f"list_patient_{of.plural}", "parameters": {"patient_id": both["patient_id"]}},
    }
