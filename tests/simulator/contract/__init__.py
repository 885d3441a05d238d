"""LINE's official OpenAPI documents as a judge of every exchange that the test suite has with the simulator."""
