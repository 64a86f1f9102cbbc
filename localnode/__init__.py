"""The embedded single-node engine: a real OpenSearch from package registries, without Docker."""
