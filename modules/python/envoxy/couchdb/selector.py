"""Keyword parameters as CouchDB's Mango query (POST /{db}/_find)."""

OPERATORS = ("eq", "gt", "gte", "lt", "lte", "in")


def query(params):
    """The query: field and field__operator select; page_size, page_start_index and order_by (-field: descending) page."""
    params = dict(params or {})
    limit, skip, order = (params.pop(name, None) for name in ("page_size", "page_start_index", "order_by"))
    found = {"selector": _selector(params)}
    if limit:
        found["limit"] = int(limit)
    if skip:
        found["skip"] = int(skip)
    if order:
        found["sort"] = [{order.lstrip("+-"): "desc" if order.startswith("-") else "asc"}]
    return found


def _selector(params):
    selector = {}
    for key, value in params.items():
        field, _, operator = key.rpartition("__")
        if not field or operator not in OPERATORS:
            field, operator = key, None
        if operator == "in" and not isinstance(value, (list, tuple)):
            value = [value]
        condition = value if operator is None else {f"${operator}": value}
        if field in selector:  # both must hold: x__gt and x__lt, or x and x__gt
            condition = {**_as_operators(selector[field]), **_as_operators(condition)}
        selector[field] = condition
    return selector


def _as_operators(condition):
    if isinstance(condition, dict) and all(name.startswith("$") for name in condition):
        return condition
    return {"$eq": condition}
