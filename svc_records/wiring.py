"""What the records service is made of."""

from pathlib import Path

from hosting.hosted import Built, Ground, Hosted
from storage.documents import Documents
from svc_records.repository import SHAPE
from svc_records.service import RecordsService
from svc_records.settings import RecordsSettings

MIGRATIONS = Path(__file__).with_name("migrations")


def build(ground: Ground) -> Built:
    return Built(RecordsService(Documents(ground.database, SHAPE), ground.health))


def hosted() -> Hosted:
    return Hosted("records", "svc_records", RecordsSettings, MIGRATIONS, SHAPE, build)
