"""The audit: does a model merely recognise films?"""
