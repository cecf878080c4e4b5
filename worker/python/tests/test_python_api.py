"""docs/python_api says what `uwsgi` offers: the page, the stubs and the module itself agree with it."""
import ast
import inspect

import pytest
from envoxyd_worker import uwsgi_module
from test_uwsgi_module import SPEC


# Not there before somebody sets it, or outside of a request.
SET = {"atexit", "post_fork_hook", "after_req_hook", "spooler", "mule_msg_hook", "env"}


@pytest.fixture
def rows(python_api):
    return [row for row in python_api.rows("uwsgi") if python_api.available(row)]


def test_what_is_generated_is_up_to_date(python_api):
    for path, text in python_api.files().items():
        assert path.read_text("utf-8") == text, "run make docs"


def test_the_module_is_what_the_table_says(rows):
    module = uwsgi_module.make({**SPEC, "opt": [["mode", "live", False]]})
    public = {name for name in vars(module) if not name.startswith("_")}
    table, optional = {row.name for row in rows}, {row.name for row in rows if row.status.startswith("with ")}
    assert public - table == set()
    assert table - public - optional - SET == set()
    assert public & optional == {"mode", "pidfile"}


def test_functions_take_what_the_table_says(rows):
    module, compared = uwsgi_module.make(SPEC), 0
    for row in rows:
        function = vars(module).get(row.name)
        if not row.signature or "*" in row.signature or function is None:
            continue
        try:
            taken = inspect.signature(function).parameters.values()
        except ValueError:  # C's
            continue
        if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in taken):  # whatever comes
            continue
        wanted = [argument for argument in row.signature[1:-1].split(", ") if ":" in argument]
        required = [argument for argument in wanted if "=" not in argument]
        assert (len(taken), sum(p.default is p.empty for p in taken)) == (len(wanted), len(required)), row.name
        compared += 1
    assert compared > 50


def test_stubs_are_python_and_name_everything(python_api):
    for module in ("uwsgi", "uwsgidecorators"):
        names = {getattr(node, "name", None) or node.target.id for node in ast.parse(python_api.stub(module)).body
                 if isinstance(node, (ast.FunctionDef, ast.AnnAssign))}
        assert names == {row.name for row in python_api.rows(module) if python_api.available(row)}
