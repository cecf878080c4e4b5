"""Jobs in directories: the form of their files, and the processes that run them."""
