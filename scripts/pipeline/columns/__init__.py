"""The columns of the files that rules hand to each other: one owner for those who write and those who read.

A module for each kind of file, so that another column makes stale who writes and reads that file, and nobody else.
"""
