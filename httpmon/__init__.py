"""The distribution's one package: the entry point here and, in an installed wheel, every other folder."""
