"""The records' tables, as they are after the newest migration."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from storage.columns import MYSQL, day_text, document_columns, long_text
from storage.history import versions_table
from storage.keys import keys_table

metadata = MetaData()

records = Table(
    "records",
    metadata,
    *document_columns("record_id"),
    Column("doctor_id", Integer, nullable=False),
    Column("record_text", long_text(), nullable=False),
    Column("date", day_text(), nullable=False),
    Column("category", String(32), nullable=False),
    # A patient's list, read backwards; what is hidden lies apart from what is listed.
    Index("records_listed", "patient_id", "deleted_at", "date", "record_id"),
    Index("records_listed_by_category", "patient_id", "deleted_at", "category", "date", "record_id"),
    sqlite_autoincrement=True,  # else the id of a removed last row would be given out again
    **MYSQL,
)
record_versions = versions_table("record_versions", records)
keys = keys_table(metadata)
