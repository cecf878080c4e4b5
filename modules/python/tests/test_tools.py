"""The commands for developers: checks of migrations and models, and alembic with the shared configuration."""

import json
import os
from pathlib import Path

import envoxy
import pytest
from envoxy.tools import check_migrations, validate_models

MODELS = """
from envoxy.db.orm import EnvoxyBase
from envoxy.db.orm.schema import Column
from envoxy.db.orm.sqltypes import String
class Gadget(EnvoxyBase):
    label = Column(String(40))
"""
MAIN = """
from envoxy.tools.alembic.cli import main
try:
    print('status', main(%r))
except Exception as error:
    print(error)
"""


def test_migrations_are_counted(tmp_path, capsys):
    versions = tmp_path / "versions"
    assert check_migrations.main([str(versions)]) == 2
    versions.mkdir()
    (versions / "__pycache__").mkdir()
    assert check_migrations.main([str(versions)]) == 3
    (versions / "a.py").write_text("")
    assert check_migrations.main([str(versions)]) == 0
    assert "1 migration files" in capsys.readouterr().out
    assert check_migrations.main([]) == 2


@pytest.mark.parametrize(
    "model,status",
    [
        ({"fields": {"id": {}, "created": {}, "updated": {}, "href": {}, "x": {}}}, 0),
        ({"fields": {"id": {}, "created": {}}}, 3),
        ({"fields": ["id"]}, 0),
        ({"name": "no model"}, 0),
        ([1], 0),
        ("{", 0),
    ],
)
def test_models_in_json_need_the_audit_fields(tmp_path, capsys, model, status):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "m.json").write_text(model if isinstance(model, str) else json.dumps(model))
    assert validate_models.main([str(tmp_path)]) == status
    assert ("updated, href" in capsys.readouterr().out) == bool(status)


def test_a_directory_of_models_must_be_there(tmp_path):
    assert (validate_models.main([]), validate_models.main([str(tmp_path / "none")])) == (2, 2)


def test_the_configuration_of_alembic_comes_with_the_package():
    path = Path(envoxy.alembic_config_path())
    assert path.name == "alembic.ini" and path.exists()
    assert {"env.py", "script.py.mako"} <= set(os.listdir(path.parent / "alembic"))


@pytest.fixture
def alembic(python, tmp_path):
    """A factory: the command's output, for a service with one model."""
    pytest.importorskip("alembic")
    pytest.importorskip("psycopg2")
    pytest.importorskip("inflect")
    (tmp_path / "models.py").write_text(MODELS)
    service = {
        "ENVOXY_SERVICE_NAMESPACE": "shop", "SERVICE_MODELS": "models", "SERVICE_DB_URL": "postgresql://u:p@127.0.0.1:1/db",
        "SERVICE_ALEMBIC_DIR": str(tmp_path / "migrations"),
    }

    def run(*arguments, **environ):
        return python(MAIN % (list(arguments),), **{**service, **environ})

    return run


def test_a_migration_is_made_and_its_sql_printed(alembic, tmp_path):
    assert alembic("revision", "-m", "first").endswith("status 0")
    assert sorted(os.listdir(tmp_path / "migrations")) == ["env.py", "script.py.mako", "versions"]
    (made,) = (tmp_path / "migrations" / "versions").glob("*_first.py")
    made.write_text(made.read_text().replace("pass", "op.create_table('aux_shop_gadgets', sa.Column('id', sa.String(36)))", 1))
    sql = alembic("upgrade", "head", "--sql")
    assert "CREATE TABLE aux_shop_gadgets" in sql and "INSERT INTO alembic_version_shop" in sql and sql.endswith("status 0")


@pytest.mark.parametrize(
    "environ,text",
    [
        ({"ENVOXY_SERVICE_NAMESPACE": ""}, "ENVOXY_SERVICE_NAMESPACE is not set"),
        ({"SERVICE_DB_URL": ""}, "SERVICE_DB_URL must be"),
        ({"SERVICE_DB_URL": "sqlite:///S3CRET"}, "SERVICE_DB_URL must be"),
        ({"SERVICE_MODELS": "gone"}, "No module named 'gone'"),
    ],
)
def test_what_alembic_is_not_told_is_named(alembic, environ, text):
    out = alembic("upgrade", "head", "--sql", **environ)
    assert text in out and "S3CRET" not in out and "status" not in out


def test_a_migration_needs_a_place_of_its_own(alembic):
    assert alembic("revision", "-m", "x", SERVICE_ALEMBIC_DIR="") == "status 2"
    assert alembic() == "status 2"


def test_models_may_be_elsewhere(alembic, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "models.py").rename(tmp_path / "far" / "their_models.py")
    out = alembic("upgrade", "head", "--sql", SERVICE_MODELS="their_models", SERVICE_MODELS_PATHS=str(tmp_path / "far"))
    assert out.endswith("status 0")


def test_without_alembic_the_command_says_so(python):
    source = "import sys\nsys.modules['alembic'] = None\nfrom envoxy.tools.alembic.cli import main\nprint(main(['current']))"
    assert python(source) == "2"
