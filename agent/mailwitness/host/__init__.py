"""Runs on the mail host, reads and changes nothing: one file for each thing it asks."""
