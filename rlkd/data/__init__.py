"""From any source to clean splits of problems, and the teacher traces that go with them."""
