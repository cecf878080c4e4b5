"""Events by MQTT."""
