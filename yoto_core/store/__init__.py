"""What is kept on disk: data files, run folders and their states, saved models, exports."""
