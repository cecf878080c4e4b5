"""The endpoints."""
import models
import tasks
from envoxy import Response, View, log, log_event, mqttc, on
from envoxy.asserts import assertz, assertz_array_even_empty, assertz_mandatory, assertz_string
from models import deck

NOT_FOUND, FULL, UNKNOWN_FIELD = 1404, 1409, 1203
FIELDS = {"title", "tags"}
ARRIVALS = "/v1/arrivals"


def checked(body):
    """The fields of a request body; a ValidationException for what a card cannot have."""
    assertz(isinstance(body, dict), "A card is a JSON object", UNKNOWN_FIELD, 412)
    unknown = sorted(set(body) - FIELDS)
    assertz(not unknown, f"Unknown fields: {', '.join(unknown)}", UNKNOWN_FIELD, 412)
    if "title" in body:
        assertz_string(body, "title")
    if "tags" in body:
        assertz_array_even_empty(body, "tags")
        for tag in body["tags"]:
            assertz(isinstance(tag, str), f"Invalid tag: {tag}", 1202, 412)
    return body


def whole(body):
    """The fields of a card that is to be made."""
    assertz_mandatory(checked(body), "title")
    return {"tags": [], **body}


def found(card):
    """The card; a 404 for None."""
    assertz(card is not None, "No such card", NOT_FOUND, 404)
    return card


@on(endpoint="/v1/cards", protocols=["http"])
class Cards(View):
    """The deck."""

    def get(self, request, **kwargs):
        return Response(deck.find(request.args.get("tag")))

    def post(self, request, **kwargs):
        fields = whole(request.get_json())
        try:
            card = deck.add(fields)
        except models.DeckIsFull as error:
            assertz(False, str(error), FULL, 409)
        return Response({"status": 201, "payload": card, "headers": {"Location": f"/v1/cards/{card['id']}"}})


@on(endpoint="/v1/cards/{card_id:uuid}", protocols=["http"])
class Card(View):
    """One card."""

    def get(self, request, card_id, **kwargs):
        return Response(found(deck.get(str(card_id))))

    def put(self, request, card_id, **kwargs):
        return Response(found(deck.change(str(card_id), whole(request.get_json()))))

    def patch(self, request, card_id, **kwargs):
        return Response(found(deck.change(str(card_id), checked(request.get_json()))))

    def delete(self, request, card_id, **kwargs):
        found(deck.remove(str(card_id)))
        return Response(status=204)


@on(endpoint="/v1/stats", protocols=["http"])
class Stats(View):
    """What the tasks find out."""

    def get(self, request, **kwargs):
        return Response({"cards": len(deck.find()), "tags": tasks.count_tags()})


@on(endpoint=ARRIVALS, protocols=["http", "mqtt"], server="broker", qos=1)
class Arrivals(View):
    """A card for each message. Who has no MQTT client posts the message here, and it takes the same way."""

    def post(self, request, **kwargs):
        mqttc.publish("broker", ARRIVALS, whole(request.get_json()), no_envelope=True, qos=1)
        return Response({"status": 202, "payload": {"published": ARRIVALS}})

    @log_event
    def on_event(self, data, **kwargs):
        log.info(f"arrived: {deck.add(whole(data))['id']}")
