"""The audit columns of models, and the names of their indexes, constraints and foreign keys."""
from . import naming
from .requirement import sqlalchemy

_KINDS = {  # what a name that has to be made begins with
    sqlalchemy.Index: "idx",
    sqlalchemy.UniqueConstraint: "uq",
    sqlalchemy.ForeignKeyConstraint: "fk",
    sqlalchemy.CheckConstraint: "ck",
    sqlalchemy.PrimaryKeyConstraint: "pk",
    sqlalchemy.dialects.postgresql.ExcludeConstraint: "ex",
}


class EnvoxyMixin:
    """id, created, updated and href; the listeners fill them in."""

    __abstract__ = True

    id = sqlalchemy.Column("id", sqlalchemy.String(36), primary_key=True)
    created = sqlalchemy.Column("created", sqlalchemy.DateTime, nullable=False)
    updated = sqlalchemy.Column("updated", sqlalchemy.DateTime, nullable=False)
    href = sqlalchemy.Column("href", sqlalchemy.String(1024), nullable=False)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for value in list(vars(cls).values()):
            column = getattr(value, "column", value)  # mapped_column() holds one
            if isinstance(column, sqlalchemy.Column):
                _prefix_targets(column.foreign_keys)
        arguments = vars(cls).get("__table_args__")
        if isinstance(arguments, (tuple, list)):
            _name_all(cls, arguments)


def _name_all(cls, arguments):
    made = []
    for argument in arguments:
        if isinstance(argument, sqlalchemy.ForeignKeyConstraint):
            _prefix_targets(argument.elements)
        kind = _KINDS.get(type(argument))
        if kind is None:
            continue
        if isinstance(argument.name, str) and argument.name:
            argument.name = naming.with_own_prefix(argument.name)
            continue
        # "table": its own name, unless the class says it, is only made later, by the metaclass
        name = naming.derived(kind, getattr(cls, "__tablename__", None) or "table", _words(cls, kind, argument))
        made.append(name)
        argument.name = name if made.count(name) == 1 else f"{name}_{made.count(name)}"


def _words(cls, kind, argument):
    """What ends a name that is made."""
    if kind == "idx":
        attributes = {id(value): name for name, value in vars(cls).items()}
        columns = [getattr(e, "name", None) or attributes.get(id(e)) or str(e) for e in argument.expressions]
        return "_".join(columns) or "expr"
    if kind == "fk":
        tables = [table for table in map(_target_table, argument.elements) if table]
        return "col_to_" + (naming.without_prefix(tables[0]) if tables else "ref")
    return {"uq": "cols", "ck": naming.digest("ck"), "pk": "", "ex": "expr"}[kind]


def _target_table(key):
    """The table of a foreign key given as "table.column"; None for another form."""
    tokens = getattr(key, "_given_tokens", None)
    if tokens is not None:  # SQLAlchemy 2.1
        return tokens.table_name if key._table_column is None and tokens.schema is None and tokens.column_name else None
    parts = key._colspec.split(".") if isinstance(key._colspec, str) else ()
    return parts[0] if len(parts) == 2 else None


def _prefix_targets(keys):
    for key in keys:
        table = _target_table(key)
        if not table:
            continue
        if hasattr(key, "_given_tokens"):
            key._given_tokens = key._given_tokens._replace(table_name=naming.prefixed(table))
        else:
            key._colspec = naming.prefixed_target(key._colspec)
