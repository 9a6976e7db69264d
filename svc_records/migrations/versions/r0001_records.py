"""Records."""

import sqlalchemy as sa

from storage import ddl
from storage.columns import Moment, ascii_text, day_text, identity, long_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl.table(
        "records",
        sa.Column("record_id", identity(), primary_key=True, autoincrement=True),
        sa.Column("patient_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("source_id", ascii_text(128), unique=True),
        sa.Column("deleted_at", Moment),
        sa.Column("doctor_id", sa.Integer, nullable=False),
        sa.Column("record_text", long_text(), nullable=False),
        sa.Column("date", day_text(), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sqlite_autoincrement=True,
    )
    ddl.index("records_listed", "records", ["patient_id", "deleted_at", "date", "record_id"])
