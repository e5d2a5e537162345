"""Reports for whoever must answer for the logins: pure functions from records to tables, one file a report.

Nothing here asks the store, looks at a clock or draws: ``store/figures.py`` brings the records, ``cli`` shows what
comes out. Answers to no RFC.
"""
