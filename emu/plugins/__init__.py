"""Plugins for `-plugin`, to use and to learn from (docs/tracing.md)."""
