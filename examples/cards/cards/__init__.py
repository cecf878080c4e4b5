"""A card index over HTTP: what envoxy.json names as a module, and so the first file to run."""
import os
import sys

# A module is run by its path, not imported as a package: its neighbours are found through sys.path.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import models  # noqa: E402
import tasks  # noqa: E402
from views import Arrivals, Card, Cards, Stats  # noqa: E402

models.deck.add({"title": "Envoxy", "tags": ["services"]})
tasks.count_tags()

__loader__ = [Cards, Card, Stats, Arrivals]
