"""The cards: in memory that the workers share, because it is made before they are forked. A restart forgets them."""
import contextlib
import json
import mmap
import multiprocessing
import uuid

from envoxy import Config
from envoxy.utils.datetime import Now

LENGTH = 8  # bytes before the cards that say how long they are


class DeckIsFull(Exception):
    """The cards take more memory than envoxy.json allows."""


class Deck:
    """Cards by id, for all threads of all workers."""

    def __init__(self, kilobytes):
        self._memory = mmap.mmap(-1, LENGTH + kilobytes * 1024)
        self._lock = multiprocessing.get_context("fork").Lock()

    def add(self, fields):
        """Make a card of the fields; the card."""
        card = {**fields, "id": str(uuid.uuid4()), "created": Now.api_format()}
        with self._changing() as cards:
            cards[card["id"]] = card
        return card

    def get(self, card_id):
        """The card, None when there is none."""
        return self._read().get(card_id)

    def find(self, tag=None):
        """All cards, or those with a tag, oldest first."""
        return [card for card in self._read().values() if tag is None or tag in card["tags"]]

    def change(self, card_id, fields):
        """Set fields of a card; the card, None when there is none."""
        with self._changing() as cards:
            if card_id in cards:
                cards[card_id].update(fields)
            return cards.get(card_id)

    def remove(self, card_id):
        """Forget a card; the card, None when there was none."""
        with self._changing() as cards:
            return cards.pop(card_id, None)

    def _read(self):
        with self._lock:
            return self._cards()

    @contextlib.contextmanager
    def _changing(self):
        with self._lock:
            cards = self._cards()
            yield cards
            self._store(json.dumps(cards).encode())

    def _cards(self):
        length = int.from_bytes(self._memory[:LENGTH], "big")
        return json.loads(self._memory[LENGTH:LENGTH + length] or b"{}")

    def _store(self, data):
        if LENGTH + len(data) > len(self._memory):
            raise DeckIsFull("There is no room for more cards")
        self._memory[:LENGTH + len(data)] = len(data).to_bytes(LENGTH, "big") + data


deck = Deck(int(Config.get("deck").get("kilobytes", 64)))
