"""Where things are: the unambiguous name of each, which `Location` gives."""


def location(noun: str, patient_id: int | str, number: int | str) -> str:
    """The path of a "record" or "prescription"."""
    return f"/patients/{patient_id}/{noun}s/{number}"
