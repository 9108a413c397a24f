"""From a language model's tokens to clauses an engine can speak."""
