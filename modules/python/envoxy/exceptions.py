"""Errors that a view raises on purpose."""


class ValidationException(Exception):
    """Ends a request with the status and code given as keywords: ValidationException("text", code=7, status=409)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args)
        self.kwargs = kwargs
