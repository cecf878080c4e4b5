"""Events by MQTT: names that import until the connector is there."""
from ..unavailable import Unavailable

Dispatcher = Unavailable(f"{__name__}.Dispatcher", "the MQTT connector")
MqttConnector = Unavailable(f"{__name__}.MqttConnector", "the MQTT connector")

# What a broker answers to CONNECT (MQTT 3.1.1, section 3.2.2.3).
RC_LIST = {
    0: "connected",
    1: "the protocol version is refused",
    2: "the client identifier is refused",
    3: "the broker is not available",
    4: "wrong user name or password",
    5: "not authorized",
}
