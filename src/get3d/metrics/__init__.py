"""How good generated shapes are: distances between shapes, between sets of shapes, and between pictures."""
