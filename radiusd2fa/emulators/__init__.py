"""Software stand-ins for hardware, behind the interfaces of the real thing: for the demo, the probe and the tests."""
