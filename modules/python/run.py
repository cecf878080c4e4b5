"""The built-in application, `run:app`; a run.py in the service's own directory takes its place."""
from envoxyd_service.application import app

__all__ = ["app"]
