"""Addresses and texts that try to be more than that, each with what must become of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

# An address with a number in it, and how it travels.
GOOD = (
    ("o'hara+rx{}@example.org", "o'hara+rx{}@example.org"),
    ("!#$%&'*/=^_`{{|}}~?{}@example.org", "!#$%&'*/=^_`{{|}}~?{}@example.org"),
    ("a%b{}!c@Example.ORG", "a%b{}!c@example.org"),
    ('"a b{}"@example.org', '"a b{}"@example.org'),
    ('"{}@x, <y>; (z): [q]"@example.org', '"{}@x, <y>; (z): [q]"@example.org'),
    ('"Bcc: x{}@example.com"@example.org', '"Bcc: x{}@example.com"@example.org'),
    ('"{} \\" \\\\"@example.org', '"{} \\" \\\\"@example.org'),
    ('"> SIZE=1 {}"@example.org', '"> SIZE=1 {}"@example.org'),
    ("info{}@münchen.de", "info{}@xn--mnchen-3ya.de"),
    ("аптека{}@example.org", "аптека{}@example.org"),
    ("用户{}@例子.广告", "用户{}@xn--fsqu00a.xn--4rr70v"),
    ("{}" + "l" * 50 + "@" + ".".join(["d" * 59] * 3) + ".example",) * 2,
)
BAD = (
    "p{}@example.org\r\nBcc: x@example.com",
    "p{}@example.org\nRCPT TO:<x@example.com>",
    "p{}\r@example.org",
    "p{}\0@example.org",
    '"p{}\r\n"@example.org',
    "p{}@example.org\x1b[2J",
    "p{}@example.org, x@example.com",
    "p{}@example.org;x@example.com",
    "p{}@example.org x@example.com",
    "<p{}@example.org>",
    "p{}@example.org> SIZE=1",
    "Pharmacy <p{}@example.org>",
    "Group: p{}@example.org;",
    "p{}@example.org (comment)",
    "@a.example,@b.example:p{}@example.org",
    "p {}@example.org",
    '"p{}@example.org',
    "p{}..x@example.org",
    "p{}@[127.0.0.1]",
    "p{}@localhost",
    "p{}@example",
    "p{}@exam_ple.org",
    "p{}\u202e@example.org",
    "=?utf-8?q?p{}?=@example.org",
    "{}" + "l" * 65 + "@example.org",
    "{}p@" + ".".join(["d" * 63] * 4) + ".org",
)
LINES = (
    'O\'Hara <b>bold</b> & "Söhne"',
    "Bcc: x@example.com",
    "=?utf-8?b?DQpCY2M6IHhAZXhhbXBsZS5jb20=?=",
    "</td></table><script>alert(1)</script>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "--=_letter--",
    "ליאור بن 李小龍 Ольга 😀 e\u0301\u0323",
    "\u202e05 mg\u2069\u2066",
    ".",
    "From here",
    "x" * 190,
    "%s %d {} $(id) `id` \\u0000 ${{7*7}}",
    "\u2028Status: active",
)
FURTHER = (
    "\n.\nMAIL FROM:<x@example.com>",
    "\n\nSTATE\n  Status:       active",
    "\n--=_letter\nContent-Type: text/html\n\n<b>x</b>",
    "\tx\n\n\ny",
    "y" * 3000,
    "<!-- \n-->",
)
REFUSED = ("x\r\nBcc: x@example.com", "x\ny", "x\0", "\x1b]0;x\x07")


@dataclass
class Case:
    """One prescription. `travels` is how its address does; `wrong` is the field to be refused, or ""."""

    body: dict[str, Any]
    travels: str = ""
    wrong: str = ""
    key: int = 0


def cases(rng: Random, count: int) -> Iterator[Case]:
    """So many: half of them good, the other half wrong in one field; each address and each text has its turn."""
    good, bad = len(GOOD), len(BAD)
    for number in range(count):
        if number % 2:
            address, travels = GOOD[number // 2 % good]
            yield Case({**body(rng), "mail_to": address.format(number)}, travels.format(number))
        elif number % 8:
            yield Case({**body(rng), "mail_to": BAD[number // 2 % bad].format(number)}, wrong="mail_to")
        else:
            wrong = rng.choice(("patient_name", "prescriber_name"))
            yield Case({**body(rng), "mail_to": "p@example.org", wrong: rng.choice(REFUSED)}, wrong=wrong)


def body(rng: Random) -> dict[str, Any]:
    """A prescription of hostile texts."""

    def line() -> str:
        return rng.choice(LINES)

    def lines() -> str:
        return line() + rng.choice(FURTHER)

    medication = {name: line() for name in ("medication_name", "rxnorm_code", "strength", "form")}
    medication |= {name: lines() for name in ("dosage", "sig", "reason")}
    return {
        "patient_id": rng.randrange(1, 2**31),
        "doctor_id": 1,
        "medications": [medication],
        "patient_name": line(),
        "patient_address": line() + FURTHER[1],
        "prescriber_name": line(),
        "prescriber_address": line() + FURTHER[0],
    }
