"""ETag, If-None-Match and If-Match, by RFC 9110: nothing is overwritten unseen, nothing is sent that is known."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.examples import NEW_PRESCRIPTION, NEW_RECORD
from gateway.http.conditions import NEVER, Condition, read
from gateway.http.problems import FieldError
from gateway.settings import GatewaySettings
from mesh.errors import Lost, MeshError, RemoteError
from mesh.status import Status
from protos.generated.caremesh import v1 as pb
from tests.fakes.gateway import JSON, Answer, Gateway

PLACES = ["/patients/7/records/12", "/patients/7/prescriptions/12"]
SHORT = ["/records/12", "/prescriptions/12"]
PAGES = ["/records/7", "/patients/7/prescriptions", f"{PLACES[0]}/history", f"{PLACES[1]}/history"]
READS = [*PLACES, *PAGES]
CHANGES = [(verb, path) for verb in ("PUT", "DELETE") for path in (*PLACES, *SHORT)]

MALFORMED = [
    "",
    "x",
    "12.1",
    '"12.1',
    '12.1"',
    "'12.1'",
    '"a" "b"',
    '*, "12.1"',
    "*,*",
    ",",
    'w/"12.1"',
    '"a b"',
    "W/*",
]


async def change(gateway: Gateway, verb: str, path: str, *tags: str) -> Answer:
    """A PUT or DELETE with these lines of If-Match."""
    headers = [("If-Match", line) for line in tags]
    if verb == "DELETE":
        return await gateway.request(verb, path, headers=headers)
    body = NEW_RECORD if "records" in path else NEW_PRESCRIPTION
    return await gateway.post(path, body, verb, [*JSON.items(), *headers])


def expected(gateway: Gateway) -> list[int]:
    """The version that each call to a service said to expect."""
    return [asked.message.if_version if "Delete" in asked.method else asked.message.version for asked in gateway.asked]


def stored_at(version: int) -> Callable[[str, Any], Any]:
    """A service that takes a change only of this version, as the real one does."""

    def outcome(_method: str, message: Any) -> Any:
        said = getattr(message, "if_version", 0) or getattr(message, "version", 0)
        if said not in (0, version):
            raise RemoteError(Status.ABORTED, f"is of version {version}", code="VERSION_MISMATCH")

    return outcome


@pytest.mark.parametrize("path", PLACES)
async def test_the_etag_of_a_thing_is_its_id_and_version(path: str) -> None:
    """Strong, and the same from a read, a POST and a PUT."""
    gateway = Gateway()
    answers = [await gateway.request("GET", path), await change(gateway, "PUT", path)]
    body = NEW_RECORD if "records" in path else NEW_PRESCRIPTION
    answers.append(await gateway.post(f"/{path.split('/')[3]}", body))
    assert [answer.headers["etag"] for answer in answers] == ['"12.1"'] * 3


@pytest.mark.parametrize("path", PAGES)
async def test_the_etag_of_a_page_is_that_of_its_bytes(path: str) -> None:
    """The same bytes the same tag, another byte another."""
    gateway = Gateway()
    first, again = [await gateway.request("GET", path) for _ in range(2)]
    assert first.headers["etag"] == again.headers["etag"]
    page = pb.RecordPage if "records" in path else pb.PrescriptionPage
    gateway.records.outcome = gateway.prescriptions.outcome = lambda *_: page(next_cursor="x")
    assert (await gateway.request("GET", path)).headers["etag"] != first.headers["etag"]
    assert first.headers["etag"].strip('"').isalnum()


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",,{} ,', 'W/"a,b", W/{}', "*"])
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_what_a_client_has_already_is_304_without_a_body(path: str, form: str, verb: str) -> None:
    """If-None-Match is compared weakly; the answer has no length, which would be another's."""
    gateway = Gateway()
    tag = (await gateway.request("GET", path)).headers["etag"]
    answer = await gateway.request(verb, path, headers={"If-None-Match": form.format(tag)})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert not {"content-length", "content-type"} & answer.headers.keys()


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("tag", ['"x"', '"12.2"', 'W/"12.0"', '"12.10"', '"2.1"'])
async def test_what_a_client_has_not_is_sent(path: str, tag: str) -> None:
    """Another version is another tag."""
    answer = await Gateway().request("GET", path, headers={"If-None-Match": tag})
    assert answer.status == 200
    assert answer.json


async def test_several_lines_of_a_header_are_one_list() -> None:
    """RFC 9110, 5.3."""
    lines = [("If-None-Match", '"x"'), ("If-None-Match", '"12.1"')]
    assert (await Gateway().request("GET", PLACES[0], headers=lines)).status == 304
    gateway = Gateway()
    assert (await change(gateway, "DELETE", PLACES[0], '"x"', '"12.4"')).status == 204
    assert expected(gateway) == [4]


@pytest.mark.parametrize(("verb", "path"), CHANGES)
@pytest.mark.parametrize(
    ("tags", "versions"),
    [
        ((), [0]),
        (("*",), [0]),
        (('"12.3"',), [3]),
        ((' "x" , "12.3", "13.4", W/"12.5"',), [3]),
        (('"12.2147483646"',), [2147483646]),
    ],
)
async def test_the_expected_version_travels_in_the_message(
    verb: str, path: str, tags: tuple[str, ...], versions: list[int]
) -> None:
    """The service compares inside its transaction; 0 is unconditional, and `*` too, as nothing is created."""
    gateway = Gateway()
    assert (await change(gateway, verb, path, *tags)).status in (200, 204)
    assert expected(gateway) == versions


NO_MATCH = [
    'W/"12.1"',
    '"13.1"',
    '"1.12"',
    '"12.01"',
    '"12.0"',
    '"12.1.1"',
    '"12.2147483647"',
    '"12.9999999999"',
    '"x"',
    '""',
]


@pytest.mark.parametrize(("verb", "path"), CHANGES)
@pytest.mark.parametrize("tag", [*NO_MATCH, ", ".join(NO_MATCH), '"12.2"'])
async def test_a_tag_that_is_not_the_stored_one_is_412(verb: str, path: str, tag: str) -> None:
    """A weak tag never matches, nor another thing's; the service still says first what comes first."""
    gateway = Gateway()
    gateway.records.outcome = gateway.prescriptions.outcome = stored_at(1)
    answer = await change(gateway, verb, path, tag)
    assert (answer.status, answer.json["type"]) == (412, "urn:caremesh:problem:version-mismatch")
    assert expected(gateway) == [2 if tag == '"12.2"' else NEVER]
    gateway.records.outcome = gateway.prescriptions.outcome = lambda *_: gone()
    assert (await change(gateway, verb, path, tag)).status == 410


def gone() -> None:
    raise RemoteError(Status.NOT_FOUND, "", code="DELETED")


@pytest.mark.parametrize(("verb", "path"), CHANGES)
@pytest.mark.parametrize("stored", [2, 5, 9])
async def test_of_several_versions_the_stored_one_is_found_whichever_it_is(verb: str, path: str, stored: int) -> None:
    """Oldest first, each compared by the service, so that no change in between slips through."""
    gateway = Gateway()
    gateway.records.outcome = gateway.prescriptions.outcome = stored_at(stored)
    assert (await change(gateway, verb, path, '"12.9", "12.2", "12.5", "12.2"')).status in (200, 204)
    assert expected(gateway) == [version for version in (2, 5, 9) if version <= stored]
    assert len({asked.metadata["idempotency-key"] for asked in gateway.asked}) == 1


async def test_of_several_versions_none_is_412() -> None:
    """The last answer is the answer."""
    gateway = Gateway()
    gateway.records.outcome = stored_at(3)
    assert (await change(gateway, "PUT", PLACES[0], '"12.1", "12.2"')).status == 412


async def test_a_repetition_that_names_several_versions_finds_its_first_answer() -> None:
    """Under its key the service knows the version that was stored then, and calls the others another request."""
    gateway = Gateway()

    def outcome(_method: str, message: Any) -> Any:
        if message.version != 5:
            raise RemoteError(Status.FAILED_PRECONDITION, "", code="KEY_REUSED")
        return pb.PatientRecord(record_id=12, patient_id=7, version=6)

    gateway.records.outcome = outcome
    answer = await change(gateway, "PUT", PLACES[0], '"12.2", "12.5", "12.6"')
    assert (answer.status, answer.headers["etag"]) == (200, '"12.6"')
    assert (await change(gateway, "PUT", PLACES[0], '"12.2", "12.6"')).status == 422


STOPPING: list[MeshError] = [
    Lost(""),
    RemoteError(Status.NOT_FOUND, "", code="DELETED"),
    RemoteError(Status.UNAVAILABLE, ""),
]


@pytest.mark.parametrize("error", STOPPING, ids=repr)
async def test_what_is_no_mismatch_ends_the_search(error: MeshError) -> None:
    """Above all an unknown outcome: the change may have been made."""
    gateway = Gateway()
    gateway.records.fails(error)
    assert (await change(gateway, "PUT", PLACES[0], '"12.1", "12.2"')).status in (410, 503, 504)
    assert len(gateway.asked) == 1


async def test_a_mismatch_after_a_lost_attempt_ends_the_search_too() -> None:
    """The lost attempt may have been the one that changed the version."""
    gateway, error = Gateway(), RemoteError(Status.ABORTED, "", code="VERSION_MISMATCH")
    error.maybe_done = True
    gateway.records.fails(error)
    assert (await change(gateway, "PUT", PLACES[0], '"12.1", "12.2"')).status == 504
    assert len(gateway.asked) == 1


async def test_so_many_versions_are_refused_that_each_could_cost_a_call() -> None:
    """A header of 32 KiB has room for thousands."""
    gateway = Gateway()
    answer = await change(gateway, "DELETE", PLACES[0], ",".join(f'"12.{version}"' for version in range(1, 10)))
    assert (answer.status, answer.fields, gateway.asked) == (400, ["If-Match"], [])


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize(("verb", "path"), CHANGES)
async def test_a_malformed_if_match_is_400_and_changes_nothing(verb: str, path: str, value: str) -> None:
    """Ignoring it would overwrite what its sender meant to protect."""
    gateway = Gateway()
    answer = await change(gateway, verb, path, value)
    assert (answer.status, answer.fields, gateway.asked) == (400, ["If-Match"], [])


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize("path", READS)
async def test_a_malformed_if_none_match_is_400(path: str, value: str) -> None:
    """It is named beside whatever else is wrong."""
    answer = await Gateway().request("GET", f"{path}?x=1", headers={"If-None-Match": value})
    assert (answer.status, set(answer.fields)) == (400, {"If-None-Match", "x"})


async def test_a_condition_that_is_not_for_an_operation_is_refused_not_ignored() -> None:
    """Whoever sent it relies on it."""
    gateway, none = Gateway(), {"If-None-Match": "*"}
    answers = [
        await gateway.post("/records", NEW_RECORD, headers={**JSON, "If-Match": "*"}),
        await gateway.post("/records", NEW_RECORD, headers={**JSON, **none}),
        await gateway.post(PLACES[0], NEW_RECORD, "PUT", {**JSON, **none}),
        await gateway.request("DELETE", PLACES[0], headers=none),
        await gateway.request("GET", PLACES[0], headers={"If-Match": '"12.1"'}),
    ]
    assert [(answer.status, *answer.fields) for answer in answers] == [
        (400, "If-Match"),
        *[(400, "If-None-Match")] * 3,
        (400, "If-Match"),
    ]
    assert gateway.asked == []


async def test_probes_and_the_document_take_no_notice_of_conditions() -> None:
    """A monitor's HTTP client may send them by itself."""
    assert (await Gateway().request("GET", "/livez", headers={"If-None-Match": "*"})).status == 200


@pytest.mark.parametrize(("verb", "path"), CHANGES)
async def test_where_the_setting_says_so_a_change_without_if_match_is_428(verb: str, path: str) -> None:
    """Any condition will do, `*` too: it says that its sender thought of it."""
    gateway = Gateway(settings=GatewaySettings(if_match_required=True))
    answer = await change(gateway, verb, path)
    assert (answer.status, answer.json["type"], gateway.asked) == (428, "urn:caremesh:problem:if-match-required", [])
    assert (await change(gateway, verb, path, "*")).status in (200, 204)
    assert (await gateway.post("/records", NEW_RECORD)).status == 201
    api = (await gateway.request("GET", "/openapi.json")).json
    told = [one for path in api["paths"].values() for verb in path.values() for one in verb["parameters"]]
    assert {one["required"] for one in told if one["name"] == "If-Match"} == {True}


VISIBLE = "".join(map(chr, [0x21, *range(0x23, 0x7F), *range(0x80, 0x100)]))


@given(st.lists(st.tuples(st.booleans(), st.text(VISIBLE)), min_size=1), st.sampled_from([",", " , ", ",,", ", \t,"]))
def test_every_list_of_tags_that_the_grammar_has_is_read_as_it_was_made(
    made: list[tuple[bool, str]], comma: str
) -> None:
    """Commas inside quotes are no commas."""
    tags = [f'{"W/" if weak else ""}"{text}"' for weak, text in made]
    assert read("If-Match", lambda name: [comma.join(tags)] if name == "If-Match" else []) == Condition(tuple(tags))


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_value_is_a_condition_or_is_refused(value: str) -> None:
    """Nothing raises, and only `*` is without tags."""
    found = read("If-Match", lambda name: [value] if name == "If-Match" else [])
    assert isinstance(found, FieldError | Condition)
    assert (found == Condition(())) == (value.strip(" \t") == "*")
