"""The name under which services may ask for the built-in application: `module = envoxyd.run:app`."""
