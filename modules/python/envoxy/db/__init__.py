"""Stores of a service by server key."""
