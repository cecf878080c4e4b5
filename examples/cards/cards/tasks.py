"""Work on the whole deck, apart from any request."""
import collections

from envoxy import log
from models import deck


def count_tags():
    """How many cards have each tag."""
    counts = collections.Counter(tag for card in deck.find() for tag in card["tags"])
    log.info(f"{sum(counts.values())} tags on the cards")
    return dict(counts)
