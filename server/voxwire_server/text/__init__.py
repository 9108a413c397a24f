"""From a language model's tokens to clauses that an engine can speak; visemes of phonemes and their co-articulation."""
