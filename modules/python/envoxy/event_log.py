"""What `@log_event` puts around an event handler."""
import json
from functools import update_wrapper
from types import MethodType

from envoxyd_service import redaction

from .utils.encoders import envoxy_json_loads
from .utils.logs import Log


class log_event:  # noqa: N801 - a decorator
    """Log an event's topic and give the handler its decoded JSON: on_event(self, data)."""

    def __init__(self, func):
        self.func = func
        update_wrapper(self, func)

    def __get__(self, view, owner=None):
        return self if view is None else MethodType(self, view)

    def __call__(self, view, client, userdata, msg, **kwargs):
        line = f"< ON_EVENT [MQTT] {msg.topic}"
        Log.trace(line)
        data = envoxy_json_loads(msg.payload)
        if Log.is_gte_log_level(Log.VERBOSE):
            Log.verbose(f"{line} | Message{json.dumps(redaction.value(data), ensure_ascii=False)}")
        return self.func(view, data, **kwargs)
