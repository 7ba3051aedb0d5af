"""Quality: scores of tasks, when they are known, who judges them, and what their data may have told the model."""
