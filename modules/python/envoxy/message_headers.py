"""The headers that every message to another service has, over MQTT and ZeroMQ alike."""
import uuid

from .tracing import context_headers
from .utils.datetime import Now

SERVER_NAME = "Envoxy Server"


def generate_headers(client_id=None):
    """A dict that is the caller's; client_id takes the place of the framework's name."""
    return {
        "Accept": "application/json",
        "Accept-Charset": "utf-8",
        "Date": Now.api_format(),
        "User-Agent": SERVER_NAME if client_id is None else client_id,
        "X-Cid": str(uuid.uuid4()),
        **context_headers(),
    }
