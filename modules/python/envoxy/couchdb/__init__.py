"""Documents in CouchDB."""
