"""The prescriptions' tables, as they are after the newest migration."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from storage.columns import MYSQL, day_text, document_columns, long_text
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
