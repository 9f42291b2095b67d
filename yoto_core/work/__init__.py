"""Runs at work: start, stop and queue their processes, sweep over designs, and speak through the run folder."""
