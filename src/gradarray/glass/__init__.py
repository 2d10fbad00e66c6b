"""The glass: how a value and its derivative came about, for people to see."""
