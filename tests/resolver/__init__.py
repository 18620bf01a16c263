"""The resolver against real daemons: what it foretells of a configuration, and what they serve."""
