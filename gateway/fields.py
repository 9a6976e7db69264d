"""The types of the clinic's fields as JSON has them: what is refused here is what the OpenAPI document says.

The services check the same again and are the authority; checking here answers sooner and names JSON's own mistakes.
"""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from gateway.http.limits import MAX_ID

TEXT_BYTES = 64 * 1024
LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
QUANTITY = r"^([0-9]{1,9}(\.[0-9]{1,4})?)?$"
SOURCE_ID = r"^[!-~]*$"
CALENDAR_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

PATTERN_REMEDIES = {
    LINE: "must be one line without control characters",
    TEXT: "must hold no control characters other than line feed and tab",
    QUANTITY: 'must be a decimal as text, such as "30" or "2.5": at most 9 digits before the point and 4 after it',
    SOURCE_ID: "must be visible ASCII characters without spaces",
}
"""What to say when a pattern is not matched; a test holds that each pattern of a schema is here."""


def _fits(text: str) -> str:
    if len(text.encode()) > TEXT_BYTES:
        raise ValueError("must be at most 64 KiB in UTF-8")
    return text


def _day(text: str) -> str:
    """Source: RFC 3339 full-date, year 1 and later. `fromisoformat` alone would take `20240229`."""
    if CALENDAR_DAY.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    raise ValueError("must be a day that exists, as YYYY-MM-DD")


def _day_or_empty(text: str) -> str:
    return text and _day(text)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _undeleted(value: bool) -> bool:  # noqa: FBT001  # as pydantic calls it
    if value:
        raise ValueError("must be false; DELETE hides it")
    return value


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
# 0 stands for one that is not named, and is what nobody can name.
PathId = Annotated[Id, Field(description="If present, the path's.", json_schema_extra=_without_default)]
Count = Annotated[int, Field(ge=0, le=MAX_ID)]
Line = Annotated[str, Field(pattern=LINE, max_length=TEXT_BYTES), AfterValidator(_fits)]
Text = Annotated[str, Field(pattern=TEXT, max_length=TEXT_BYTES), AfterValidator(_fits)]
Name = Annotated[str, Field(pattern=LINE, max_length=200)]
Address = Annotated[str, Field(pattern=TEXT, max_length=500)]
# Whether it is an address that letters can go to, the service says: `mail_to` is the field of its refusal.
Mailbox = Annotated[
    str,
    Field(pattern=LINE, max_length=254),
    WithJsonSchema(
        {"type": "string", "maxLength": 254, "pattern": LINE, "anyOf": [{"format": "idn-email"}, {"const": ""}]}
    ),
]
SourceId = Annotated[str, Field(pattern=SOURCE_ID, max_length=128)]
Quantity = Annotated[str, Field(pattern=QUANTITY)]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
OptionalDay = Annotated[
    str,
    AfterValidator(_day_or_empty),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"const": ""}]}),
]
Undeleted = Annotated[bool, AfterValidator(_undeleted), WithJsonSchema({"type": "boolean", "const": False})]
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
OptionalMoment = Annotated[str, WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"const": ""}]})]

Category = Literal["medical-history", "diagnosis", "treatment-plan", "note"]
LetterKind = Literal["new", "revision", "cancellation"]
LetterState = Literal["waiting", "sending", "sent", "failed", "uncertain", "withdrawn"]
NewStatus = Literal["draft", "active", "completed", "stopped"]
NextStatus = Literal["", "active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft"]
AnyStatus = Literal["active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "unknown"]
"""Source: FHIR R4 MedicationRequest.status."""
