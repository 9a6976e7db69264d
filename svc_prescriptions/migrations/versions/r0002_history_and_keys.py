"""Every version of a prescription, and the idempotency keys of writes. What is stored begins its history here."""

from typing import Any

import sqlalchemy as sa

from storage import ddl
from storage.columns import Moment, ascii_text, day_text, identity, long_text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("prescription_id", identity(), primary_key=True, autoincrement=False),
        sa.Column("patient_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("source_id", ascii_text(128)),
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
    ]
    names = [str(column.name) for column in columns]
    ddl.table("prescription_versions", *columns)
    ddl.copy_missing("prescriptions", "prescription_versions", names, ["prescription_id", "version"])
    ddl.table(
        "idempotency_keys",
        sa.Column("key_id", identity(), primary_key=True, autoincrement=True),
        sa.Column("scope", ascii_text(384), nullable=False),
        sa.Column("idempotency_key", ascii_text(255), nullable=False),
        sa.Column("request_hash", ascii_text(64), nullable=False),
        sa.Column("answer", long_text(), nullable=False),
        sa.Column("made_at", Moment, nullable=False),
    )
    ddl.index("idempotency_keys_once", "idempotency_keys", ["scope", "idempotency_key"], unique=True)
    ddl.index("idempotency_keys_swept", "idempotency_keys", ["made_at"])
