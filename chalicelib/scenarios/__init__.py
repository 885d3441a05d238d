"""Timed, branching scenarios: published as a state machine per version, walked by cohorts, remembered in DynamoDB."""
