"""Executes ``_transform`` bodies on engines that have no transforms of their own."""
