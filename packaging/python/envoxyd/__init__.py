"""envoxyd, installed as a wheel: the programs are bin/envoxyd and lib/envoxyd of the environment."""
