"""Puts the worker's Python on the path, as main.py does."""
import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent))


@pytest.fixture(scope="session")
def python_api():
    """docs/python_api/write.py, which reads the tables of what the modules offer."""
    spec = importlib.util.spec_from_file_location("write_python_api", HERE.parents[3] / "docs/python_api/write.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    return writer
