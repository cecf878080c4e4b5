"""Endpoint classes and their replies."""
from .views import View

__all__ = ["View"]
