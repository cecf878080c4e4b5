"""Stands in for connectors that this package does not have yet: importing works, using says why not."""


class NotAvailable(RuntimeError):
    """A connector was used that this package does not have."""

    def __init__(self, name, connector):
        super().__init__(
            f"{name}: {connector} is not available yet in the envoxy package that comes with envoxyd; "
            "install the full one into the service's venv: pip install envoxy")


class Unavailable:
    """One such name: calling it, taking an attribute of it or deriving from it raises NotAvailable."""

    def __init__(self, name, connector):
        self._name, self._connector = name, connector

    def __str__(self):
        return self._connector

    def __repr__(self):
        return f"<{self._name}: not available>"

    def __call__(self, *args, **kwargs):
        raise NotAvailable(self._name, self._connector)

    def __mro_entries__(self, bases):
        raise NotAvailable(self._name, self._connector)

    def __getattr__(self, attribute):
        if attribute.startswith("__"):  # copy, inspect and the like ask, they do not use
            raise AttributeError(attribute)
        raise NotAvailable(f"{self._name}.{attribute}", self._connector)
