"""The queue of --queue: messages that all processes put into slots, and take out."""
from operator import index

from .state import named


def functions(mine):
    queue = (mine.spec.get("shared") or {}).get("queue")
    if not queue:
        return {}
    shared = mine.shared
    slots = queue["slots"]

    def queue_push(message):
        return True if shared.queue_push(0, message) else None

    def queue_set(slot, message):
        return True if shared.queue_set(slot, message) else None

    def queue_pull():
        return shared.queue_pull()[0]

    def queue_pop():
        return shared.queue_pop(1)[0]

    def queue_get(slot):
        return shared.queue_get(slot)[0]

    def queue_last(count=0):
        count = index(count)
        return shared.queue_last(min(count, slots)) if count > 0 else shared.queue_last(1)[0]

    def queue_slot():
        return shared.queue_slot()

    def queue_pull_slot():
        return shared.queue_pull_slot()

    return {"queue_size": slots,
            **named(queue_push, queue_set, queue_pull, queue_pop, queue_get, queue_last, queue_slot, queue_pull_slot)}
