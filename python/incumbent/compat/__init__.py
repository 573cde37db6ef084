"""Interfaces of other packages, so that a program can move to `incumbent` by changing one import."""
