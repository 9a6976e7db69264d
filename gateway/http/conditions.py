"""Entity tags, and the conditions that name them.

Source: RFC 9110, 8.8.3 (ETag), 13.1.1 (If-Match, compared strongly), 13.1.2 (If-None-Match, compared weakly).
A list without a tag is refused, although the grammar has it: it can only be a value that somebody forgot.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from gateway.http.limits import MAX_ID
from gateway.http.problems import FieldError, invalid

MATCH, NONE_MATCH = "If-Match", "If-None-Match"
TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
TAGS = rf"[ \t]*\*[ \t]*|[ \t,]*{TAG}(?:[ \t]*,[ \t,]*{TAG})*[ \t,]*"

UNCONDITIONAL = 0
NEVER = MAX_ID
"""A version that nothing has: sent where no tag can match, so that the service still says first what comes first."""

VERSIONS = 8
"""Versions of one thing that an `If-Match` may name: each may cost a call."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The value of an `If-Match` or `If-None-Match`. `tags` are as they were sent; none of them means `*`."""

    tags: tuple[str, ...]

    def names(self, tag: str) -> bool:
        """Is the strong `tag` among them, by weak comparison?"""
        return not self.tags or any(one.removeprefix("W/") == tag for one in self.tags)

    def versions_of(self, number: int) -> tuple[int, ...]:
        """The versions of the thing with this id that are named by strong tags, oldest first."""
        ours = re.compile(rf'"{number}\.([1-9][0-9]{{0,9}})"', re.ASCII)
        found = {int(match[1]) for match in map(ours.fullmatch, self.tags) if match}
        return tuple(sorted(version for version in found if version < NEVER))


def tag_of_version(number: int, version: int) -> str:
    """The strong tag of one version of one thing."""
    return f'"{number}.{version}"'


def tag_of_bytes(body: bytes) -> str:
    """The strong tag of a page: what differs in a byte has another."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def read(name: str, getlist: Callable[[str], list[str]]) -> Condition | FieldError | None:
    """The condition of a request that may bring the header `name`; the other one of the two is refused, not ignored.

    Several lines of a header are one list (RFC 9110, 5.3).
    """
    for other in (MATCH, NONE_MATCH):
        if other != name and getlist(other):
            return FieldError(other, "is not for this; leave it out" + (f" or use {name}" if name else ""))
    lines = getlist(name) if name else []
    if not lines:
        return None
    value = ",".join(lines)
    if not re.fullmatch(TAGS, value):
        return FieldError(name, 'must be * or tags in quotes with commas between, such as "12.3"')
    return Condition(tuple(re.findall(TAG, value)))


def expected_versions(condition: Condition | None, number: int) -> tuple[int, ...]:
    """The versions for which a write may happen, oldest first: `UNCONDITIONAL` or `NEVER` alone, or those named.

    Raises:
        Problem: 400, more than VERSIONS of them.
    """
    if condition is None or not condition.tags:
        return (UNCONDITIONAL,)
    found = condition.versions_of(number)
    if len(found) > VERSIONS:
        raise invalid(FieldError(MATCH, f"must name at most {VERSIONS} versions of it"))
    return found or (NEVER,)
