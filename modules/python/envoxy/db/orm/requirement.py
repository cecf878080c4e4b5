"""SQLAlchemy, 1.4 or later, as the deployment has it; every module of the ORM imports it from here."""
try:
    import sqlalchemy
    import sqlalchemy.dialects.postgresql
    import sqlalchemy.orm
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        "the ORM of Envoxy services needs SQLAlchemy in the deployment's Python: pip install SQLAlchemy", name="sqlalchemy") from None

__all__ = ["sqlalchemy"]
