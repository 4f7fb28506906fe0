"""What both wings share, framework-free: a file for each topic; families of models begin with an underscore."""
