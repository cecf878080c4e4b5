"""The connector of envoxyd's workers: pools, protocol and decoding are Go's, reached through the extension module."""
import json
import marshal
import sys

from . import parameters, rows

SERVICE = "postgres"
OPEN, QUERY, BEGIN, COMMIT, ROLLBACK, CLOSE = range(1, 7)
VERSION = 2  # of the marshal format that Go reads


def find():
    """The extension, where this process is a worker that serves; else None."""
    extension = sys.modules.get("_envoxyd")
    return extension if extension is not None and extension.usable() else None


def _call(extension, operation, *arguments):
    return extension.call(SERVICE, operation, marshal.dumps(arguments, VERSION))


class Driver:
    """One per process, as the pools are."""

    def __init__(self, extension):
        self.extension = extension

    def open(self, key, conf):
        """Make a server known; it is connected to when a statement comes."""
        rows.loads(_call(self.extension, OPEN, key, json.dumps(conf).encode()))

    def query(self, key, transaction, sql, params):
        """The rows of one statement; transaction is None, or what begin returned."""
        return rows.rows(_call(self.extension, QUERY, key, transaction or 0, sql, parameters.adapted(params)))

    def begin(self, key):
        """Begin a transaction on a connection of its own."""
        return rows.loads(_call(self.extension, BEGIN, key))[0]

    def commit(self, transaction):
        """Commit, and give the connection back."""
        rows.loads(_call(self.extension, COMMIT, transaction))

    def rollback(self, transaction):
        """Roll back, and give the connection back."""
        rows.loads(_call(self.extension, ROLLBACK, transaction))

    def close(self, key=None):
        """End a server's connections; all without a key."""
        rows.loads(_call(self.extension, CLOSE, key))
