"""The one place that talks HTTP to the cluster, Elasticsearch or OpenSearch."""
