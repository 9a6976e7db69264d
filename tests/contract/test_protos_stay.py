"""What was once committed in a .proto file stays: other programs were built from it.

After adding a field, message or method, add its lines to the snapshot protos.txt beside this file:

    python -m tests.fakes.protos
"""

import re

from tests.fakes.protos import promised, words

FIELD = re.compile(r"field (?P<message>\S+)\.\w+ = (?P<number>\d+) ")


def test_no_number_name_type_or_label_of_a_field_changes_and_no_method_goes() -> None:
    """An old client would read one thing for another, or call what is not there."""
    gone = sorted(promised() - set(words()))
    assert gone == [], "these were promised; put them back, and add what is new beside them"


def test_what_is_new_is_in_the_snapshot() -> None:
    """Or the test above would not hold it from the next commit on."""
    new = sorted(set(words()) - promised())
    assert new == [], "add them to the snapshot: python -m tests.fakes.protos"


def test_no_number_was_ever_promised_to_two_fields() -> None:
    """Whoever drops a line from the snapshot by hand must not give its number away."""
    numbers = [found["message"] + found["number"] for line in promised() if (found := FIELD.match(line))]
    assert len(numbers) > 50
    assert len(numbers) == len(set(numbers))
