"""Configuration to module: transformer, heads, objective, sampler, adapters."""
