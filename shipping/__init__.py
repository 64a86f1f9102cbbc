"""Brings access-log lines to the cluster: following files, replaying, generating."""
