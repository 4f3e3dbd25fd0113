"""Motion to pictures: strokes, video, `.motion` files, the viewer."""
