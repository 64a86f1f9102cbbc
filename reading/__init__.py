"""What the summaries and alert documents say: questions as pure request builders, answers as plain values."""
