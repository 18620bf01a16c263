"""Who can reach a TCP port of a host, decided from its packet filter for all sources at once."""
