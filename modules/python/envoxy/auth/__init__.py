"""Who may: the service's own token and the auth plugin for its clients."""
