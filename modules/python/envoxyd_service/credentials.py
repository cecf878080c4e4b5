"""The token that a service asks for once, before it loads its views."""
import json
import urllib.error
import urllib.parse
import urllib.request

PARAMETERS = ("client_id", "client_secret", "response_type", "scope")
TIMEOUT = 10.0  # seconds


class CredentialsError(Exception):
    """Why there is no token; the text holds no secret."""


def request_token(credentials, timeout=TIMEOUT):
    """GET credentials["server"] with the rest as query; the decoded JSON reply.

    A parameter that is absent is not sent; one that is "" is refused. Raises CredentialsError.
    """
    server = credentials.get("server")
    if not server:
        raise CredentialsError("credentials.server is missing")
    empty = [name for name in PARAMETERS if credentials.get(name) == ""]
    if empty:
        raise CredentialsError("credentials has empty values: " + ", ".join(empty))
    query = {name: credentials[name] for name in PARAMETERS if credentials.get(name) is not None}
    query["state"] = "active"
    url = server + ("&" if "?" in server else "?") + urllib.parse.urlencode(query)
    place = _place(server)
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            if reply.status != 200:
                raise CredentialsError(f"{place} answered with status {reply.status}")
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        error.close()
        raise CredentialsError(f"{place} answered with status {error.code}") from None
    except urllib.error.URLError as error:
        reason = error.reason if isinstance(error.reason, OSError) else "the URL cannot be used"
        raise CredentialsError(f"{place} cannot be reached: {reason}") from None
    except OSError as error:
        raise CredentialsError(f"{place} cannot be reached: {error}") from None
    except ValueError:  # its text, and its traceback, quote the URL or the reply
        raise CredentialsError(f"{place} did not answer with JSON") from None


def _place(server):
    """Host and port of a URL: all of it that may be logged."""
    return urllib.parse.urlsplit(server).netloc.rpartition("@")[2] or "credentials.server"
