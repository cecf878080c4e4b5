"""Decorators of view classes and of their methods."""
from functools import wraps

from .auth.backends import AuthBackendMixin
from .cache import Cache
from .constants import CACHE_DEFAULT_TTL, GET
from .event_log import log_event
from .utils.logs import Log

__all__ = ["auth_anonymous_allowed", "auth_required", "cache", "log_event", "on"]


def on(**kwargs):
    """Declare what a View answers: endpoint, protocols, and server for events."""

    def decorate(view_class):
        view_class.__metaclass__ = type("Meta", (), kwargs)
        return view_class

    return decorate


class _Auth:
    """Asks the auth plugin before the method; what it returns joins the method's keywords."""

    question = ""  # the plugin's method

    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def __call__(self, method):
        @wraps(method)
        def guarded(view, request, *args, **kwargs):
            kwargs.update(self.kwargs)
            kwargs.update(getattr(AuthBackendMixin(), self.question)(request, *args, **kwargs) or {})
            return method(view, request, *args, **kwargs)

        return guarded


class auth_required(_Auth):
    """Let the auth plugin's `authenticate` decide."""

    question = "authenticate"


class auth_anonymous_allowed(_Auth):
    """Let the auth plugin's `anonymous` tell who asks."""

    question = "anonymous"


class cache:
    """Keep the 200 JSON replies of a method for ttl seconds, by path, query, method and JSON body."""

    def __init__(self, ttl=CACHE_DEFAULT_TTL):
        self.ttl = ttl
        self.cache = Cache().get_backend()

    def __call__(self, method):
        @wraps(method)
        def cached(view, request, *args, **kwargs):
            params = request.get_json() if method.__name__ != GET else {}
            place = (request.full_path, method.__name__, params)
            found = self._get(place)
            if found:
                return view.cached_response(found)
            response = method(view, request, *args, **kwargs)
            if getattr(response, "status_code", None) == 200:
                self._set(place, response.get_json(silent=True))
            return response

        return cached

    def _get(self, place):
        try:
            return self.cache.get(*place)
        except Exception as error:  # a cache that is down costs time, not replies
            Log.warning(f"cache: {error}")
            return None

    def _set(self, place, value):
        if value is None:
            return
        try:
            self.cache.set(*place, value, ttl=self.ttl)
        except Exception as error:
            Log.warning(f"cache: {error}")
