"""SQL for SQLAlchemy."""
import re


def to_sa_text(psycopg2_sql):
    """SQL with %(name)s as SQLAlchemy's text() with :name."""
    from .orm.requirement import sqlalchemy

    return sqlalchemy.text(re.sub(r"%\((\w+)\)s", r":\1", psycopg2_sql))
