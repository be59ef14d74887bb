"""The timeline that the demo prints: each change in the embedded cloud, in the order in which it happened."""
