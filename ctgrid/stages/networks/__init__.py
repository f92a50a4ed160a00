"""The networks themselves: no schedule, no disk."""
