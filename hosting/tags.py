"""What an answer is about, told to callers that keep answers: a write makes old what was read under one of its tags.

A page of a patient's documents is about the patient, one document and its history are about itself, a write is about
both.
"""

from mesh.call import CACHE_TAGS
from mesh.server import current


def about(patient_id: int = 0, **document: int) -> None:
    """The answer to the present call is about these, besides what it is about already.

    Args:
        patient_id: 0 for none.
        document: its kind and its id, such as `record=12`.
    """
    trailers = current().trailers
    named = {"patient": patient_id} | document
    tags = [*trailers.get(CACHE_TAGS, "").split(), *(f"{kind}/{number}" for kind, number in named.items() if number)]
    if tags:
        trailers[CACHE_TAGS] = " ".join(dict.fromkeys(tags))
