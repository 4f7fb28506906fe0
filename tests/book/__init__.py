"""Tests of the book: pages, notebooks, browser, print."""
