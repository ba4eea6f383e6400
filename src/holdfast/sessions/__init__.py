"""Internal: the life of a session: its state, its policy, the flows over store calls, and their managers."""
