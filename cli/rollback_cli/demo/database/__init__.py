"""The Neon project of the demo environment: its tables, its rows and its migrations."""
