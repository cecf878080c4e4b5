"""The reply of a view."""
from datetime import datetime

from flask import Response as FlaskResponse

from ..constants import SERVER_NAME
from ..utils.encoders import envoxy_json_dumps


class Response(FlaskResponse):
    """JSON from a dict or a list; a dict may also carry payload, status, headers and cookies of the reply."""

    default_mimetype = "application/json"

    def __init__(self, *args, **kwargs):
        headers, cookies = {}, []
        if args:
            body, *rest = args
            if isinstance(body, dict):
                if isinstance(body.get("status"), int) and not isinstance(body["status"], bool):
                    kwargs["status"], rest = body["status"], rest[1:]
                headers, cookies = dict(body.get("headers") or {}), body.get("cookies") or []
                body = body.get("payload", body)
            args = (_encoded(body), *rest)
        super().__init__(*args, **kwargs)
        given = headers or len(args) > 2 or kwargs.get("headers")
        put = self.headers.__setitem__ if given else self.headers.add  # the quicker, where there is nothing to replace
        for key, value in headers.items():
            if key.lower() == "content-type":
                self.headers[key] = value
            elif key.lower() != "content-length":  # of the payload before it was encoded
                self.headers.add(key, value)
        for cookie in cookies:
            self.set_cookie(**cookie)
        put("Server", SERVER_NAME)
        put("Date", datetime.now().isoformat())

    @classmethod
    def force_type(cls, rv, environ=None):
        if isinstance(rv, dict):
            rv = envoxy_json_dumps(rv)
        return super().force_type(rv, environ)


def _encoded(body):
    if isinstance(body, list):
        return envoxy_json_dumps({"elements": body, "size": len(body)})
    if isinstance(body, (dict, bool, int, float)):
        return envoxy_json_dumps(body)
    return body
