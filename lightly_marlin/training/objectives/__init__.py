"""Terms of the pretraining loss, which share the forward passes of a step."""
