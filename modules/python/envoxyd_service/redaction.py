"""What of a request, a reply or a message may be logged: values whose names speak of secrets may not."""
import re
from urllib.parse import unquote_plus

HIDDEN = "***"
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"}
SECRET_WORDS = ("passw", "secret", "token", "api_key", "apikey", "private_key")
_PARAMETER = re.compile(r"([^&=?]*)=([^&]*)")


def value(given):
    """A decoded JSON value without the secrets of its objects."""
    if isinstance(given, dict):
        return {key: HIDDEN if _is_secret(key) else value(member) for key, member in given.items()}
    if isinstance(given, list):
        return [value(member) for member in given]
    return given


def headers(given):
    """Headers, an iterable of pairs, as a dict without secrets."""
    return {key: HIDDEN if key.lower() in SECRET_HEADERS else member for key, member in given}


def query(text):
    """A query string, or a path with one, without secrets."""
    return _PARAMETER.sub(lambda found: f"{found[1]}={HIDDEN}" if _is_secret(unquote_plus(found[1])) else found[0], text)


def _is_secret(name):
    return any(word in str(name).lower() for word in SECRET_WORDS)
