"""The prescriptions' tables, as they are after the newest migration."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from storage.columns import MYSQL, Moment, ascii_text, day_text, document_columns, identity, long_text
from storage.history import versions_table
from storage.keys import keys_table

metadata = MetaData()

prescriptions = Table(
    "prescriptions",
    metadata,
    *document_columns("prescription_id"),
    Column("doctor_id", Integer, nullable=False),
    # A JSON list, not a child table: a prescription is written, read and replaced as a whole, the order of its
    # medications matters, and nobody asks for a medication by itself. So one row is one version: keeping every
    # version is copying a row, and no read sees half of one. Text and not the type JSON, which MySQL rewrites.
    Column("medications", long_text(), nullable=False),
    Column("status", String(32), nullable=False),
    Column("mail_to", String(254), nullable=False),
    Column("patient_name", String(200), nullable=False),
    Column("prescriber_name", String(200), nullable=False),
    Column("written_on", day_text(), nullable=False),
    Column("patient_birth_date", day_text(), nullable=False),
    Column("patient_address", String(500), nullable=False),
    Column("prescriber_address", String(500), nullable=False),
    # A patient's list, read backwards; what is hidden lies apart from what is listed.
    Index("prescriptions_listed", "patient_id", "deleted_at", "written_on", "prescription_id"),
    sqlite_autoincrement=True,  # else the id of a removed last row would be given out again
    **MYSQL,
)
prescription_versions = versions_table("prescription_versions", prescriptions)
keys = keys_table(metadata)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", identity(), primary_key=True, autoincrement=True),
    Column("prescription_id", identity(), nullable=False),
    Column("version", Integer, nullable=False),
    Column("about", Integer, nullable=False),  # what a letter says stands in that version and nowhere else
    Column("kind", ascii_text(16), nullable=False),
    Column("state", ascii_text(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("next_attempt_at", Moment),
    Column("give_up_at", Moment),
    Column("message_id", ascii_text(320), nullable=False),
    Column("replaces", ascii_text(320), nullable=False),
    Column("maybe_left", Integer, nullable=False),
    Column("holder", ascii_text(64), nullable=False),
    Column("held_until", Moment),
    Column("handed_at", Moment),
    Column("last_error", ascii_text(80), nullable=False),
    Column("traceparent", ascii_text(64), nullable=False),
    # A prescription's letters, oldest first; and what is due, oldest first, however many were sent long ago.
    Index("deliveries_of", "prescription_id", "delivery_id"),
    Index("deliveries_due", "state", "delivery_id", "next_attempt_at"),
    sqlite_autoincrement=True,
    **MYSQL,
)
