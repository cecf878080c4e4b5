"""Migrations: alembic with a configuration that all services share."""
import os

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic.ini")
SCRIPTS = os.path.join(os.path.dirname(CONFIG), "alembic")
