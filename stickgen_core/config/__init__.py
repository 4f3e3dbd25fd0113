"""Configuration: YAML and dotted overrides become frozen models; what is unknown is refused by name."""

from stickgen_core.config.loader import Section, config_hash, dump_yaml, load, merge, parse_override, read_yaml

__all__ = ["Section", "config_hash", "dump_yaml", "load", "merge", "parse_override", "read_yaml"]
