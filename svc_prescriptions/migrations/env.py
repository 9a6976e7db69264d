"""What Alembic runs to migrate."""

from storage.migrations import run_migrations

run_migrations("prescriptions")
