"""Lays the witnesses of each mail port side by side: configured, running, filtered, outside."""
