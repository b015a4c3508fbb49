"""Google Calendar: data only."""
