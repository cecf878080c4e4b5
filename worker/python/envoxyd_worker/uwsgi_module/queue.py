"""The queue of --queue: queue_push and its kin are the extension's own functions."""

NAMES = ("queue_push", "queue_pull", "queue_pop", "queue_get", "queue_set", "queue_last", "queue_slot", "queue_pull_slot")


def functions(mine):
    queue = (mine.spec.get("shared") or {}).get("queue")
    if not queue:
        return {}
    return {"queue_size": queue["slots"], **{name: getattr(mine.shared, name) for name in NAMES}}
