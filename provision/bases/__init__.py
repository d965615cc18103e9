"""The catalogue of bases, and how one is built if none can be pulled."""
