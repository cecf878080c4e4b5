"""Events by MQTT: mqttc. The connections are the event gateway's; this only asks it."""
import json

from ..exceptions import ValidationException
from ..message_headers import generate_headers
from ..utils.encoders import envoxy_json_dumps
from ..utils.logs import Log

try:
    from envoxyd_service import mqtt_events
    from envoxyd_worker.gateway import GatewayError
except ImportError:  # a script, a test: importing works, using does not
    mqtt_events = None

    class GatewayError(Exception):
        """Raised by nobody here."""

# What a broker answers to CONNECT (MQTT 3.1.1, section 3.2.2.3).
RC_LIST = {
    0: "connected",
    1: "the protocol version is refused",
    2: "the client identifier is refused",
    3: "the broker is not available",
    4: "wrong user name or password",
    5: "not authorized",
}


def _events():
    if mqtt_events is None:
        raise RuntimeError("MQTT works in a service that envoxyd serves; this process is none")
    return mqtt_events


class MqttConnector:
    """The brokers of `mqtt_servers`, and "local": events of the service to itself, without a broker."""

    _instance = None

    @classmethod
    def instance(cls, *args, **kwargs):
        """The only object."""
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def connect(self, server_key):
        """Nothing: the gateway connects by itself, and again when a connection is lost."""

    def disconnect(self, server_key):
        """Nothing: the gateway disconnects when the service stops."""

    def reconnect(self, server_key):
        """Nothing, like connect."""

    def is_connected(self, server_key):
        """Whether the broker is there at the moment."""
        return _events().connected(server_key)

    def subscribe(self, server_key, topic, callback=None, qos=0, shared=None):
        """callback(client, userdata, msg) for each message under the filter, in one worker; QoS 0, 1 or 2.

        shared: of several instances of the service one gets the message; None: as mqtt_servers has it for the server.
        """
        declared = getattr(getattr(callback, "__self__", None), "__metaclass__", None)  # an installed envoxy does not pass on what @on has
        qos = qos or getattr(declared, "qos", 0)
        shared = getattr(declared, "shared", None) if shared is None else shared
        _events().subscribe(server_key, topic, callback, qos, shared)

    def unsubscribe(self, server_key, topic):
        """End the subscription of a filter."""
        _events().unsubscribe(server_key, topic)

    def publish(self, server_key, topic, message, no_envelope=False, headers=None, qos=0, retain=False):
        """True once the gateway has the message. While the broker is away it is kept, up to a bound.

        A dict is enveloped: it gets `headers` and `resource`. ValidationException when the server is not
        configured, the topic cannot be published to, or too many messages wait.
        """
        Log.trace(f"> PUBLISH [MQTT] {topic}")
        if Log.is_gte_log_level(Log.VERBOSE):
            Log.verbose(f"> PUBLISH [MQTT] {topic} | Message{json.dumps(message, ensure_ascii=False, default=str)}")
        if not no_envelope:
            message = dict(message) if isinstance(message, dict) else {"payload": message}
            message["headers"] = {**Dispatcher.generate_headers(), **dict(message.get("headers") or {}), **dict(headers or {})}
            message["resource"] = topic
        try:
            _events().publish(server_key, topic, _encoded(message), qos, retain)
        except GatewayError as error:
            Log.error(f"[MQTT] publishing to {topic} failed: {error}")
            raise ValidationException(f"[MQTT] {error}", code=0, status=503 if error.kind in ("full", "lost") else 400) from None
        return True


def _encoded(message):
    if isinstance(message, (bytes, bytearray)):
        return bytes(message)
    encoded = envoxy_json_dumps(message)
    return encoded if isinstance(encoded, bytes) else encoded.encode()


class Dispatcher:
    """mqttc."""

    @staticmethod
    def instance():
        """The connector."""
        return MqttConnector.instance()

    @staticmethod
    def initialize():
        """Nothing: the gateway connects to every broker of the configuration."""

    @staticmethod
    def publish(server_key, topic, message, no_envelope=False, headers=None, qos=0, retain=False):
        """See MqttConnector.publish."""
        return MqttConnector.instance().publish(server_key, topic, message, no_envelope, headers, qos, retain)

    @staticmethod
    def subscribe(server_key, topic, callback=None, qos=0, shared=None):
        """See MqttConnector.subscribe."""
        return MqttConnector.instance().subscribe(server_key, topic, callback, qos, shared)

    @staticmethod
    def generate_headers(client_id=None):
        """The headers of an enveloped message."""
        return generate_headers(client_id)


if mqtt_events is not None:
    try:
        from envoxyd_worker import gateway

        gateway.current().handlers["mqtt"] = mqtt_events.application
    except GatewayError:
        pass
