"""Who compares two steps: rules, a language model, embeddings, a cascade."""
