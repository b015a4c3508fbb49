"""What surrounds the functions: pipeline, alarms, and the whole system on one machine."""
