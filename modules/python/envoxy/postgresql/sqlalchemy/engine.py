"""What SQLAlchemy needs to reach a server of `psql_servers`: a URL, the deployment's driver, the sizes of the pool."""
import importlib
import importlib.util

from ...db.exceptions import DatabaseException
from ...db.orm.requirement import sqlalchemy

_DRIVERS = ("psycopg2", "psycopg")  # the first one that is installed
_POOL = {"pool_size": 20, "max_overflow": 10, "pool_timeout": 30}
_RECYCLE = 1800  # seconds after which a connection is replaced


def of_section(section):
    """(URL, keywords of create_engine) for one server."""
    sizes = {name: int(section[name]) for name in _POOL if section.get(name) is not None}
    dsn = section.get("dsn") or section.get("url")
    if dsn and not _is_for_libpq(dsn):
        return dsn, sizes
    driver = _driver()
    timeout = {"connect_timeout": int(section["conn_timeout"])} if section.get("conn_timeout") else {}
    if dsn:  # to libpq as it is: it knows forms that SQLAlchemy does not
        return f"postgresql+{driver}://", {**sizes, "creator": lambda: importlib.import_module(driver).connect(dsn, **timeout)}
    url = sqlalchemy.engine.URL.create(
        f"postgresql+{driver}", username=section.get("user"), password=section.get("passwd"),
        host=section.get("host") or "localhost", port=int(section.get("port") or 5432), database=section.get("db"))
    return url, {**sizes, "connect_args": timeout}


def create(url, options):
    """An engine for many threads that come and go; options overrule."""
    options = {"future": True, "pool_pre_ping": True, **options}
    if sqlalchemy.engine.make_url(url).get_backend_name() != "sqlite":  # its pools take no sizes
        options = {**_POOL, "pool_recycle": _RECYCLE, **options}
    return sqlalchemy.create_engine(url, **options)


def _is_for_libpq(dsn):
    """True for postgresql://… without a driver, and for "host=… dbname=…"."""
    scheme, is_url, _ = dsn.partition("://")
    return not is_url or scheme in ("postgres", "postgresql")


def _driver():
    found = [name for name in _DRIVERS if importlib.util.find_spec(name) is not None]
    if not found:
        raise DatabaseException("SQLAlchemy needs a driver for PostgreSQL: pip install psycopg2-binary (or psycopg[binary])")
    if found == ["psycopg"] and sqlalchemy.__version__.startswith("1."):
        raise DatabaseException(f"SQLAlchemy {sqlalchemy.__version__} cannot use psycopg 3: pip install psycopg2-binary")
    return found[0]
