"""Tests of what all topics stand on."""
