"""Runs transforms and watches on engines that cannot run them by themselves."""
