"""Prescriptions."""

import sqlalchemy as sa

from storage import ddl
from storage.columns import Moment, ascii_text, day_text, identity, long_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl.table(
        "prescriptions",
        sa.Column("prescription_id", identity(), primary_key=True, autoincrement=True),
        sa.Column("patient_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("source_id", ascii_text(128), unique=True),
        sa.Column("deleted_at", Moment),
        sa.Column("doctor_id", sa.Integer, nullable=False),
        sa.Column("medications", long_text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("mail_to", sa.String(254), nullable=False),
        sa.Column("patient_name", sa.String(200), nullable=False),
        sa.Column("prescriber_name", sa.String(200), nullable=False),
        sa.Column("written_on", day_text(), nullable=False),
        sa.Column("patient_birth_date", day_text(), nullable=False),
        sa.Column("patient_address", sa.String(500), nullable=False),
        sa.Column("prescriber_address", sa.String(500), nullable=False),
        sqlite_autoincrement=True,
    )
    ddl.index("prescriptions_listed", "prescriptions", ["patient_id", "deleted_at", "written_on", "prescription_id"])
