"""Methods that experiments compare, each a YAML file with what differs from the base configuration."""
