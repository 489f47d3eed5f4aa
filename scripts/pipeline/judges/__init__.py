"""Judges behind OpenAI-compatible endpoints: what is asked, how it is paid for, kept and read."""
