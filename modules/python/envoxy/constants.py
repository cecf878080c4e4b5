"""Values that services import by name."""
from enum import IntEnum

SERVER_NAME = "Envoxy Server"

GET = "get"
POST = "post"
PUT = "put"
PATCH = "patch"
DELETE = "delete"


class Performative(IntEnum):
    """What a message asks for: the number that goes over the wire."""

    GET = 0
    PUT = 1
    POST = 2
    DELETE = 3
    HEAD = 4
    OPTIONS = 5
    PATCH = 6
    REPLY = 7
    SEARCH = 8
    NOTIFY = 9
    TRACE = 10
    CONNECT = 11


# ZeroMQ: sockets and threads; the poll timeout is in milliseconds, the retry's in seconds
ZEROMQ_CONTEXT = 1
ZEROMQ_MAX_WORKERS = 50
ZEROMQ_MAX_WORKERS_PER_THREAD = 20
ZEROMQ_POLLIN_TIMEOUT = 5000
ZEROMQ_POLLER_RETRIES = 5
ZEROMQ_RETRY_TIMEOUT = 2

# PostgreSQL: connections of a pool, seconds to wait for one, rows of a page
MIN_CONN = 1
MAX_CONN = 20
TIMEOUT_CONN = 5
DEFAULT_OFFSET_LIMIT = 0
DEFAULT_CHUNK_SIZE = 10000

# Redis and the response cache; times to live are in seconds
REDIS_BACKEND = "redis"
REDIS_DEFAULT_HOST = "127.0.0.1"
REDIS_DEFAULT_PORT = "6379"
REDIS_DEFAULT_DB = 1
REDIS_DEFAULT_TTL = 3600
CACHE_DEFAULT_TTL = 3600

# Formats of the assertions
HASH_LENGTH = 45
HASH_CHARSET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890"
HASH_REGEX = r"[a-zA-Z0-9]{45}"
TOKEN_LENGHT = 128
TOKEN_CHARSET = "abcdefghijklmnopqrstuvwxyz0123456789"
TOKEN_REGEX = r"[a-z0-9]{128}"
URI_REGEX = r"([^?#]*)(?:\\?([^#]*))?(?:#(.*))?"
URL_REGEX = r"([@>]{0,1})([a-zA-Z][a-zA-Z0-9+.-]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?"
EMAIL_REGEX = r"(^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$)"
PHONE_REGEX = r"(?:\\(([0-9]){1,3}\\)([ ]*))?([0-9]){3,12}"
