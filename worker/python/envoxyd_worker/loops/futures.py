"""Futures that several may settle: the first one does."""


def settle(future, value=None):
    if not future.done():
        future.set_result(value)
