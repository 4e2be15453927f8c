"""The methods that the papers compare: from prompts alone to true groups, each a function over arrays."""
