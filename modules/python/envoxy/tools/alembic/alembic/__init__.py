"""alembic's script directory: env.py and the template of a migration."""
