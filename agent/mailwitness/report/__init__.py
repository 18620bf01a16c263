"""Renders a judged run, one file for each format; nothing is judged here."""
