"""What is done inside a machine: over ssh, from any driver."""
