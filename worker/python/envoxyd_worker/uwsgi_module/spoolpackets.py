"""Jobs that come over the network: modifier 17 of the uwsgi protocol."""
from .. import log
from ..spooling import files
from .spool import enqueue

MODIFIER = 17
WRITTEN = b"\xff\x00\x00\x01"
REFUSED = b"\xff\x00\x00\x00"


def answer_spool(mine, block, body):
    """Writes the job of a request, whose variables are its pairs; returns the answer."""
    if not mine.spec.get("spoolers"):
        return REFUSED
    try:
        enqueue(mine, files.unpack(block), body)
    except ValueError as error:
        log.line(f"a job from the network is refused: {error}")
        return REFUSED
    return WRITTEN
