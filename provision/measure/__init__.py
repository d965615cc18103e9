"""What each form of a spec costs on this host: rows, how each is measured, and what they say together."""
