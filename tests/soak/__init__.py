"""Long runs that count what goes wrong; in CI at a few seconds each (tests/server/test_soak.py).

Each is an async generator that yields its running figures, so that one that is interrupted has said what it has.
"""
