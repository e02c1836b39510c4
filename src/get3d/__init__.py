"""GET3D: textured 3D meshes, learnt from pictures alone."""
