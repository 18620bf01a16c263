"""Telling whoever is in charge of a host what has changed, by mail."""
