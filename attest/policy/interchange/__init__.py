"""Policies of others, read into this language. Pure: text in, a draft out.

Nothing is widened silently: what has no counterpart here is listed with its line and the reason, and the
draft does not count as a translation until somebody accepts the list.
"""
