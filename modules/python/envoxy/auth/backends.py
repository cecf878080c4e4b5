"""The token of the service, and the plugin that `plugins.auth` names."""
import importlib
import re
import sys

from envoxyd_service.credentials import CredentialsError, request_token

from ..utils.config import Config
from ..utils.logs import Log

_PARAMETER = re.compile(r"{([^:{}]+):[^{}]+}")


def authenticate_container(credentials):
    """Ask credentials["server"] for a token; its JSON reply, {} for a service without credentials.

    A token that cannot be had ends the process with 246.
    """
    if not credentials:
        return {}
    try:
        return request_token(credentials)
    except CredentialsError as error:
        Log.emergency(f"Authorization failed: {error}")
        sys.exit(-10)


def get_auth_module(module_name=None):
    """The plugin's class Auth, or the module of that name from the plugin's directory."""
    directory = (Config.plugins() or {}).get("auth")
    if not directory:
        raise RuntimeError("a view asks for authorization, but the configuration has no plugins.auth")
    if directory not in sys.path:
        sys.path.append(directory)
    if module_name:
        return importlib.import_module(module_name)
    return importlib.import_module("auth").Auth


def get_topic(_topic):
    """The endpoint without types: /v1/rooms/{name:str} becomes /v1/rooms/{name}."""
    return _PARAMETER.sub(r"{\1}", _topic)


class AuthBackendMixin:
    """Calls the plugin."""

    @property
    def AuthorizationException(self):
        """The plugin's own exception class, else Exception."""
        return getattr(get_auth_module(), "exception", Exception)

    def authenticate(self, request, *args, **kwargs):
        """What the plugin returns for a request that must be authorized."""
        return get_auth_module()().authenticate(request, topic=get_topic(kwargs.get("endpoint", "")), **kwargs)

    def anonymous(self, request, *args, **kwargs):
        """What the plugin returns for a request that may be anonymous."""
        return get_auth_module()().anonymous(request, topic=get_topic(kwargs.get("endpoint", "")), **kwargs)
