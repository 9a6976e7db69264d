"""Letters about prescriptions. What is stored already is not mailed until it is written again."""

import sqlalchemy as sa

from storage import ddl
from storage.columns import Moment, ascii_text, identity

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl.table(
        "deliveries",
        sa.Column("delivery_id", identity(), primary_key=True, autoincrement=True),
        sa.Column("prescription_id", identity(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("about", sa.Integer, nullable=False),
        sa.Column("kind", ascii_text(16), nullable=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("next_attempt_at", Moment),
        sa.Column("give_up_at", Moment),
        sa.Column("message_id", ascii_text(320), nullable=False),
        sa.Column("replaces", ascii_text(320), nullable=False),
        sa.Column("maybe_left", sa.Integer, nullable=False),
        sa.Column("holder", ascii_text(64), nullable=False),
        sa.Column("held_until", Moment),
        sa.Column("handed_at", Moment),
        sa.Column("last_error", ascii_text(80), nullable=False),
        sa.Column("traceparent", ascii_text(64), nullable=False),
        sqlite_autoincrement=True,
    )
    ddl.index("deliveries_of", "deliveries", ["prescription_id", "delivery_id"])
    ddl.index("deliveries_due", "deliveries", ["state", "delivery_id", "next_attempt_at"])
