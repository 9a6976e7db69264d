"""What migrations are made of: statements that do nothing where they were already done.

MySQL commits each of them at once, so that a migration that was ended between two begins again from its start.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.columns import MYSQL


def table(name: str, *columns: sa.Column[Any], **options: Any) -> None:
    """Makes a table unless it is there."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **MYSQL, **options)


def index(name: str, of: str, columns: list[str], *, unique: bool = False) -> None:
    """Makes an index unless it is there."""
    if name not in {found["name"] for found in sa.inspect(op.get_bind()).get_indexes(of)}:
        op.create_index(name, of, columns, unique=unique)


def copy_missing(source: str, target: str, columns: list[str], identity: list[str]) -> None:
    """Copies the rows of one table into another, those that it has already aside.

    Args:
        source: from where.
        target: to where.
        columns: what is copied.
        identity: the columns that tell whether the target has a row.
    """
    here, there = (sa.table(name, *map(sa.column, columns)) for name in (source, target))
    same = sa.and_(*(there.c[name] == here.c[name] for name in identity))
    missing = sa.select(*here.columns).where(~sa.exists().where(same))
    op.execute(sa.insert(there).from_select(columns, missing))
