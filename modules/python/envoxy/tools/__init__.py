"""Commands for developers of services."""
