"""Models: what their tables, indexes, constraints and keys are called, and who fills in the audit columns."""

import datetime

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
pytest.importorskip("inflect")

from envoxy.db import orm  # noqa: E402
from envoxy.db.helpers import to_sa_text  # noqa: E402
from envoxy.db.orm.schema import Column, ForeignKey, Index, Table, UniqueConstraint, prefixed  # noqa: E402
from envoxy.db.orm.sqltypes import Integer, String  # noqa: E402


class Owner(orm.EnvoxyBase):
    name: str = Column(String(40))


class Gadget(orm.EnvoxyBase):
    label = Column(String(40), nullable=False)
    size = Column(Integer)
    owner_id = Column(String(36), sqlalchemy.ForeignKey("owners.id"))
    maker_id = Column(String(36), ForeignKey("owners.id"))
    other_id = Column(String(36))
    __table_args__ = (
        Index(None, "label"),
        Index("by_size", "size"),
        Index(None, size, "label"),
        UniqueConstraint("label", "size"),
        UniqueConstraint("size", "owner_id"),
        sqlalchemy.CheckConstraint("size > 1"),
        sqlalchemy.ForeignKeyConstraint(["other_id"], ["owners.id"]),
        {"comment": "things"},
    )


@pytest.fixture
def session(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/models.db")
    orm.metadata.create_all(engine)
    with sqlalchemy.orm.Session(engine) as session:
        yield session
    engine.dispose()


def test_tables_are_plural_as_inflect_has_it_with_the_prefix():
    names = {
        "Entry": "entrys", "OrderItem": "orderitems", "Person": "people", "Status": "statuses", "Child": "children",
        "Category": "categorys", "Data": "datas",
    }
    made = {name: type(name, (orm.EnvoxyBase,), {}).__tablename__ for name in names}
    assert made == {name: f"aux_{table}" for name, table in names.items()}
    assert Gadget.__table__.name == "aux_gadgets"


@pytest.mark.parametrize(
    "said,table",
    [
        ({"__tablename__": "category"}, "aux_categories"),
        ({"__tablename__": "public.bolt"}, "aux_bolts"),
        ({"__tablename__": "aux_nut"}, "aux_nuts"),
        ({"__exception_tablename__": "Staff"}, "aux_staff"),
    ],
)
def test_a_model_may_say_its_tables_name(said, table):
    assert type(f"Named{table}", (orm.EnvoxyBase,), said).__tablename__ == table


def test_an_abstract_model_has_no_table():
    base = type("Abstract", (orm.EnvoxyBase,), {"__abstract__": True})
    assert not hasattr(base, "__tablename__") and type("Washer", (base,), {}).__tablename__ == "aux_washers"


def test_the_namespace_is_part_of_every_name(python):
    source = "from envoxy.db.orm.schema import prefixed\nfrom envoxy.db.orm import AUX_TABLE_PREFIX\nprint(AUX_TABLE_PREFIX, prefixed('a'))"
    assert python(source, ENVOXY_SERVICE_NAMESPACE=" My-Shop ") == "aux_my_shop_ aux_my_shop_a"
    assert python(source, ENVOXY_SERVICE_NAMESPACE="") == "aux_ aux_a"


def test_indexes_and_constraints_have_names_with_the_prefix():
    indexes = sorted(index.name for index in Gadget.__table__.indexes)
    assert indexes == ["aux_by_size", "aux_idx_table_label", "aux_idx_table_size_label"]
    constraints = sorted(str(c.name) for c in Gadget.__table__.constraints if c.name)
    assert constraints == ["aux_ck_table_c8c2ca9f", "aux_fk_table_col_to_owners", "aux_uq_table_cols", "aux_uq_table_cols_2"]


def test_a_name_that_would_be_too_long_is_cut_and_stays_the_same():
    table = "very_long_table_name_that_goes_on_and_on_until_sixty_characters"
    model = type("Long", (orm.EnvoxyBase,), {"__tablename__": table, "a": Column(Integer), "__table_args__": (Index(None, "a"),)})
    assert [i.name for i in model.__table__.indexes] == ["aux_idx_very_long_table_name_that_goes_on_and_on_until__cd34d1be"]


def test_keys_point_to_tables_with_the_prefix():
    assert {key.target_fullname for key in Gadget.__table__.foreign_keys} == {"aux_owners.id"}
    targets = {"owners.id": "aux_owners.id", "aux_other_owners.id": "aux_other_owners.id", "public.owners.id": "public.owners.id"}
    assert {given: ForeignKey(given).target_fullname for given in targets} == targets
    assert Table("links", sqlalchemy.MetaData()).name == prefixed("links") == "aux_links"


def test_listeners_fill_in_the_audit_columns(session):
    made = Gadget(label="lamp")
    own = Gadget(label="own", id="1", href="/own", created=datetime.datetime(2024, 1, 2))
    session.add_all([made, own])
    session.flush()
    assert len(made.id) == 36 and made.href == f"/v3/data-layer/aux_gadgets/{made.id}" and made.created == made.updated
    assert (own.id, own.href, own.created) == ("1", "/own", datetime.datetime(2024, 1, 2))
    before = made.updated
    made.size = 3
    session.flush()
    assert made.updated > before and made.created == before


def test_a_server_refuses_models_of_another_base():
    other = sqlalchemy.orm.declarative_base()
    with pytest.raises(RuntimeError, match="Stranger is mapped, but is not derived from EnvoxyBase"):
        type("Stranger", (other,), {"__tablename__": "s", "id": Column(Integer, primary_key=True)})
        other.registry.configure()
    other.registry.dispose()


def test_sql_for_psycopg2_becomes_sqlalchemys():
    text = to_sa_text("select * from t where a = %(a)s and b = %(b_2)s")
    assert str(text) == "select * from t where a = :a and b = :b_2" and set(text.compile().params) == {"a", "b_2"}


def test_without_sqlalchemy_envoxy_imports_and_the_orm_says_what_is_missing(python):
    out = python("""
import sys
sys.modules["sqlalchemy"] = None
import envoxy
for use in (lambda: __import__("envoxy.db.orm.schema"), lambda: envoxy.pgsqlc.sa_session("main"), lambda: __import__("envoxy.db.orm.base")):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error)
""")
    assert out.splitlines() == ["the ORM of Envoxy services needs SQLAlchemy in the deployment's Python: pip install SQLAlchemy"] * 3


def test_without_inflect_a_model_says_what_is_missing(python):
    out = python("""
import sys
sys.modules["inflect"] = None
from envoxy.db.orm import EnvoxyBase
try:
    class Entry(EnvoxyBase):
        pass
except ModuleNotFoundError as error:
    print(error.name)
class Named(EnvoxyBase):
    __exception_tablename__ = "aux_named"
print(Named.__table__.name)
""")
    assert out.split() == ["inflect", "aux_named"]


def test_a_service_without_models_does_not_import_sqlalchemy(python):
    assert python("import sys, envoxy, envoxy.db.orm\nprint('sqlalchemy' in sys.modules)") == "False"
