"""A container engine, and the base images of generated projects, where there are none."""
