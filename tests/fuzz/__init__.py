"""Builders of odd and hostile files, one from each seed, and what came out of reading each.

Each module has `case(seed, folder) -> str`: “read” or “sentence”; anything else that happens is raised.
"""
