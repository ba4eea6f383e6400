"""What happens to a session: its state, its policy, the flows over store calls, and the managers that run them."""
