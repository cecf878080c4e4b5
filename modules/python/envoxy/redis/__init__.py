"""Redis servers of the `redis_servers` section."""
