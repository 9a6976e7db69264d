"""Texts of clients, made fit to be read."""

import re
import unicodedata

LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# What turns the direction of text around and is not seen: in a dosage it would show 50 as 05, and it need only stand
# between the digits. Letters have directions of their own.
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
UNREADABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
REPLACEMENT = "\ufffd"
RIGHT_TO_LEFT = {"R", "AL", "AN"}
ISOLATE, END_OF_ISOLATE = "\u2068", "\u2069"  # FSI and PDI of UAX #9


def clean(text: str) -> str:
    """A text with one kind of line ends, and without what could hide or turn around other parts of the letter."""
    return UNREADABLE.sub(REPLACEMENT, DIRECTIONS.sub("", LINE_ENDS.sub("\n", text)))


def isolated(line: str) -> str:
    """A line of plain text whose direction does not spill over into what stands beside it."""
    turned = not line.isascii() and any(unicodedata.bidirectional(letter) in RIGHT_TO_LEFT for letter in line)
    return f"{ISOLATE}{line}{END_OF_ISOLATE}" if turned else line


def hanging(text: str, indent: int) -> str:
    """A text whose further lines stand under its first one, so that none of them looks like a part of the letter."""
    return ("\n" + " " * indent).join(isolated(line) for line in text.split("\n"))
