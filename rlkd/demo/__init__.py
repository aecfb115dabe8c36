"""What only the demo's base student needs: its size and its pre-training."""
