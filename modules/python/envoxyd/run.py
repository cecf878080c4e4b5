"""The built-in application, `envoxyd.run:app`."""
from envoxyd_service.application import app

__all__ = ["app"]
