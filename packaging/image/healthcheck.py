#!/usr/local/bin/python3 -IS
"""envoxyd-healthcheck: status 0 if what $HEALTH_URL names answers, else 1 and a line that says why.

tcp://HOST:PORT accepts connections; http://HOST:PORT/PATH answers with a status below 400.
"""
import http.client
import os
import socket
import sys
from urllib.parse import urlsplit

SECONDS = 2  # less than the timeout of HEALTHCHECK, so that the reason is told


def check(url):
    """Returns None, or what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("tcp", "http") or not parts.hostname or (parts.scheme == "tcp" and not parts.port):
        return "HEALTH_URL is tcp://HOST:PORT or http://HOST:PORT/PATH"
    if parts.scheme == "tcp":
        socket.create_connection((parts.hostname, parts.port), SECONDS).close()
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    answer = connection.getresponse()
    return None if answer.status < 400 else f"status {answer.status}"


def main():
    url = os.environ.get("HEALTH_URL", "")
    try:
        wrong = check(url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        wrong = str(error) or type(error).__name__
    if wrong:
        sys.exit(f"unhealthy: {url!r}: {wrong}")


if __name__ == "__main__":
    main()
