"""What the prescription service is made of."""

from pathlib import Path

from hosting.hosted import Hosted
from mesh.server import Health
from storage.database import Database
from storage.documents import Documents
from svc_prescriptions.repository import SHAPE
from svc_prescriptions.service import PrescriptionsService
from svc_prescriptions.settings import PrescriptionsSettings

MIGRATIONS = Path(__file__).with_name("migrations")


def build(database: Database, health: Health) -> PrescriptionsService:
    return PrescriptionsService(Documents(database, SHAPE), health)


def hosted() -> Hosted:
    return Hosted("prescriptions", "svc_prescriptions", PrescriptionsSettings, MIGRATIONS, SHAPE, build)
