"""The Dagster graph and the command line around stickgen_core; nothing here computes, everything here arranges."""
