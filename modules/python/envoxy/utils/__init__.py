"""Configuration, logs, encoders and clocks of services."""
