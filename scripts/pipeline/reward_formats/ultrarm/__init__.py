"""The text of UltraRM."""
