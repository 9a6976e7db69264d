"""What the records service is made of."""

from pathlib import Path

from hosting.hosted import Hosted
from mesh.server import Health
from storage.database import Database
from storage.documents import Documents
from svc_records.repository import SHAPE
from svc_records.service import RecordsService
from svc_records.settings import RecordsSettings

MIGRATIONS = Path(__file__).with_name("migrations")


def build(database: Database, health: Health) -> RecordsService:
    return RecordsService(Documents(database, SHAPE), health)


def hosted() -> Hosted:
    return Hosted("records", "svc_records", RecordsSettings, MIGRATIONS, SHAPE, build)
