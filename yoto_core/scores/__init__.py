"""How any set of genes is judged: metrics, independent learners, and the rival ways to choose genes."""
