"""Run by alembic: the models and the database of the service that envoxy.json and these variables describe.

ENVOXY_SERVICE_NAMESPACE  whose tables, aux_<namespace>_…, are looked at; all others stay as they are
SERVICE_MODELS            modules with models, separated by commas; SERVICE_MODELS_PATHS: where else they are, by colons. By default
                          those of envoxy.json's packages and beside its modules
SERVICE_DB_URL            postgresql://user:password@host:port/database, by default the first one of psql_servers
"""
import importlib
import logging.config
import os
import sys

from alembic import context
from envoxy.db.orm import EnvoxyBase
from envoxy.db.orm.constants import AUX_TABLE_PREFIX
from envoxy.db.orm.session import get_default_server_key
from envoxy.postgresql.sqlalchemy import engine
from envoxy.tools import service
from envoxy.utils.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

if AUX_TABLE_PREFIX == "aux_":
    raise RuntimeError("ENVOXY_SERVICE_NAMESPACE is not set: migrations are of one service's tables")
VERSION_TABLE = "alembic_version_" + AUX_TABLE_PREFIX[len("aux_"):].strip("_")[:40]


def metadata():
    """The tables of the service's models."""
    paths = [os.getcwd(), *filter(None, os.environ.get("SERVICE_MODELS_PATHS", "").split(":"))]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    names = [name.strip() for name in os.environ.get("SERVICE_MODELS", "").split(",") if name.strip()]
    modules = [importlib.import_module(name) for name in names or service.models()]
    found = next((m.metadata for m in modules if getattr(m, "metadata", None) is not None), EnvoxyBase.metadata)
    if getattr(context.config.cmd_opts, "autogenerate", False) and not found.tables:
        raise RuntimeError("no models: SERVICE_MODELS names the modules that define them")
    return found


def database():
    """(URL, keywords of create_engine) of the service's database."""
    url = os.environ.get("SERVICE_DB_URL", "")
    if not url and Config.get("psql_servers"):
        return engine.of_section(Config.get("psql_servers")[get_default_server_key()])
    if not url.startswith("postgresql"):  # the value may hold a password: it is not shown
        raise RuntimeError("SERVICE_DB_URL must be the URL of a PostgreSQL database, postgresql://…, unless envoxy.json has psql_servers")
    return engine.of_section({"dsn": url})


def is_ours(object_, name, type_, reflected, compare_to):
    """True for the service's tables and what belongs to them."""
    table = name if type_ == "table" else getattr(getattr(object_, "table", None), "name", None)
    return table is None or table.startswith(AUX_TABLE_PREFIX)


def is_our_name(name, type_, parent_names):
    """The same, before a table is read from the database."""
    return type_ != "table" or name.startswith(AUX_TABLE_PREFIX)


def run():
    """Run the migrations that alembic has been asked for, or print their SQL."""
    if context.config.config_file_name:
        logging.config.fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    settings = {
        "target_metadata": metadata(), "include_object": is_ours, "include_name": is_our_name, "version_table": VERSION_TABLE,
    }
    url, options = database()
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True, **settings)
        with context.begin_transaction():
            context.run_migrations()
        return
    with create_engine(url, poolclass=NullPool, **options).connect() as connection:
        context.configure(connection=connection, **settings)
        with context.begin_transaction():
            context.run_migrations()


run()
