"""Watches, as Elasticsearch's Watcher runs them, on engines that cannot run them themselves."""
