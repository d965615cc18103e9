"""The catalogue of bases, and how one is made where none can be had."""
