"""The service's configuration."""
import json

from .server import is_served, options


class Config:
    """Sections of envoxy.json: the server's, or of the file set by set_file_path in scripts and tests."""

    file_path = None

    @staticmethod
    def set_file_path(file_path):
        """Name the file to read outside a server."""
        Config.file_path = file_path

    @staticmethod
    def get(node):
        """A section; {} when there is none."""
        if is_served() or not Config.file_path:
            return (options().get("conf_content") or {}).get(node, {})
        with open(Config.file_path, encoding="utf-8") as file:
            return json.load(file).get(node, {})

    @staticmethod
    def get_credentials():
        """The authorization server's reply; {} when the configuration has no credentials."""
        if is_served() or not Config.get("credentials"):
            return options().get("credentials") or {}
        from ..auth.backends import authenticate_container
        return authenticate_container(Config.get("credentials"))

    @staticmethod
    def plugins():
        """The section `plugins`; {} when there is none."""
        return (options().get("plugins") if is_served() else Config.get("plugins")) or {}
