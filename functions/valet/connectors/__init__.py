"""What providers offer: one folder a connector, data first."""
