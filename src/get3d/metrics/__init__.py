"""How good generated shapes are: distances of shapes, of sets, and of pictures."""
